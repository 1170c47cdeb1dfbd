"""Run a program in namespaces of its own: what it signals or mounts, it signals or mounts in there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.agent import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_NAMESPACE: Final = ("--pid", "--fork", "--kill-child", "--mount-proc")
#: A user who is not root needs a user namespace for it.
UNSHARE: Final = (
    "unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), *_NAMESPACE
)  # fmt: skip


#: A script that tries whether a file system can be mounted. `$0` is a directory for an image of it.
_MOUNT_IMAGE: Final = """
truncate -s 8M "$0/tried.image"; mkfs.ext4 -q "$0/tried.image"; mount -o loop "$0/tried.image" /mnt
"""


def run_apart(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a Python program with a PID namespace of its own; skip the test where none can be made."""
    skip_unless([*UNSHARE, "true"], "no PID namespace can be made here")
    return subprocess.run(
        [*UNSHARE, sys.executable, "-c", program, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def run_with_mounts(
    work: Path,
    program: str,
    *words: str,
    options: tuple[str, ...] = (),
    trial: str = _MOUNT_IMAGE,
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a Python program that may mount what it likes: in a mount namespace of its own.

    `options` are for unshare(1). The test is skipped if the shell script `trial` fails there. It gets
    the directory `work` as `$0`.
    """
    apart = ["unshare", "--mount", *options, "--propagation", "private"]
    skip_unless([*apart, "sh", "-ec", trial, str(work)], "what this test needs cannot be made here")
    return subprocess.run(
        [*apart, sys.executable, "-c", program, *words],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def skip_unless(command: list[str], reason: str) -> None:
    """Skip the test if a command fails."""
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"{reason}: {tried.stderr.strip()}")

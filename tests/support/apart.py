"""Run a program with a PID namespace of its own: what it signals, it signals in there."""

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


def run_apart(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a namespace; skip the test where none can be made."""
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no PID namespace can be made here: {tried.stderr.strip()}")
    return subprocess.run(
        [*UNSHARE, sys.executable, "-c", program, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

"""Single files of /proc that hang, so that their readers cannot be killed: state D, as under lxcfs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import fuse_server

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stage:
    """A mount namespace in which some files are on FUSE. `command` runs another command in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.command = ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "--"]

    def enter(self) -> None:
        """Move this process, which must have one thread, into the namespace."""
        namespace = os.open(f"/proc/{self._process.pid}/ns/mnt", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)

    def hang(self, path: str) -> None:
        """Make each stat, open and read of a file hang from now on."""
        self._tell("hang", path)

    def answer(self, path: str) -> None:
        """Make a file answer again, also those that wait for it."""
        self._tell("answer", path)

    def close(self) -> None:
        """Make each request fail from now on, so that no reader remains in state D."""
        self._process.kill()
        self._process.wait()

    def _tell(self, verb: str, path: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{verb} {path}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{verb}\n"


@contextlib.contextmanager
def on_fuse(*paths: str) -> Iterator[Stage]:
    """Put these files on FUSE for the block, in a mount namespace. Skip the test without root or FUSE."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("only root may mount, and only where there is a /dev/fuse")
    server = fuse_server.__file__
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, server, *paths]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != "ready\n":
                pytest.skip(f"no FUSE here: {process.stderr.read().strip()[-200:]}")
            yield Stage(process)
        finally:
            process.kill()

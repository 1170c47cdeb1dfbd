"""A file that hangs when it is opened, like a file on a dead file server."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def file_hangs(path: Path) -> Iterator[Callable[[], None]]:
    """Make each open(2) of a file hang until the yielded function is called, or the block ends.

    We hold a lease, and the kernel makes each open wait until we give it up, at most 45 s (fcntl(2)).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def release() -> None:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"no lease to be had here: {error}")
        # The kernel requests the lease back with a signal that would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, 0)
        yield release
    finally:
        os.close(descriptor)

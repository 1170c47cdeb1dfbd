"""A file that hangs for whoever opens it, as one of a dead file server does."""

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
    """Let nobody open a file, until what is given here is called, or the block ends.

    The kernel lets each open wait until we give our lease up, 45 s long (fcntl(2)).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def let_go() -> None:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"no lease to be had here: {error}")
        # The kernel asks for it by a signal that would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, 0)
        yield let_go
    finally:
        os.close(descriptor)

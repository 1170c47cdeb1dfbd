"""Whose spool it is: a lock that lives as long as its process."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp import private
from pattoo_mp.errors import SpoolError

if TYPE_CHECKING:
    from pathlib import Path

#: An uploader whose control was killed may still be keeping what it holds.
_PREDECESSOR_S: Final = 5.0
_LOOK_S: Final = 0.05


def hold(path: Path) -> int:
    """Take the lock on `path`; the descriptor that is returned holds it until it is closed.

    Its directory is made, if somebody removed it while an agent runs.
    Raises `SpoolError` if another process has it.
    """
    try:
        private.make_directory(path.parent)
        descriptor = private.open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}; expected a file of this agent") from error
    until = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise SpoolError(
                    f"{path}: another agent uses this spool (process {holder or 'unknown'}); "
                    f"expected one of our own"
                ) from error
            time.sleep(_LOOK_S)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor

"""Whose spool it is: a lock that lives as long as its process."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import SpoolError
from pattoo_mp.util import files

if TYPE_CHECKING:
    from pathlib import Path

#: An uploader whose control was killed may still be keeping what it holds.
_PREDECESSOR_S: Final = 5.0
_LOOK_S: Final = 0.05
_NUMBER_BYTES: Final = 20


def lock_of(spool: Path) -> Path:
    """Where the lock of a spool lies."""
    return spool.with_name(f"{spool.name}.lock")


def hold(path: Path) -> int:
    """Take the lock on `path`; the descriptor that is returned holds it until it is closed.

    Its directory is made, if somebody removed it while an agent runs.
    Raises `OSError`, or `SpoolError` if another process has it; then nothing is left open.
    """
    files.make_directory(path.parent)
    descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(descriptor, path)
    except BaseException:
        os.close(descriptor)  # a lock that nobody knows of would lock out its own process
        raise
    # The number is for people. A disk without room for it must not cost the lock.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def holder(path: Path) -> int | None:
    """The process that holds the lock on `path`, 0 if it is not known which; None if nobody does.

    Not for the holder itself. There is no other way to ask for a flock(2) than to try: it is a
    shared one, for a moment, and who starts then tries again.
    """
    try:
        descriptor = files.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(descriptor)
    finally:
        os.close(descriptor)
    return None


def is_held(descriptor: int, path: Path) -> bool:
    """Whether the lock is still the one that others would find. Raises `OSError`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, path: Path) -> None:
    until = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise SpoolError(
                    f"{path}: another agent uses this spool (process "
                    f"{_number(descriptor) or 'unknown'}); "
                    f"expected one of our own"
                ) from error
            time.sleep(_LOOK_S)
        else:
            return


def _number(descriptor: int) -> int:
    """What the holder has written into the file; 0 if that is no number."""
    text = os.pread(descriptor, _NUMBER_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0

"""The directories that settings name: made at the start, or only looked at."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class State:
    """What a look at a directory shows. `problem` says why it cannot be used; empty if it can.

    `is_read_only` says that its file system is the problem, and no right to it.
    """

    is_there: bool
    problem: str = ""
    is_read_only: bool = False


def make(path: Path) -> str:
    """Make a directory, if it is not there. Why it cannot be used; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return _cannot_be_made(error.errno or 0)
    return _state(path, is_there=True).problem


def look(path: Path) -> State:
    """What `make` would say, as far as that can be known without touching anything."""
    try:
        return _look(path)
    except OSError as error:  # the way there is closed
        return State(is_there=False, problem=_cannot_be_made(error.errno or 0))


def _look(path: Path) -> State:
    if path.is_dir():
        return _state(path, is_there=True)
    if os.path.lexists(path):
        return State(is_there=False, problem=_cannot_be_made(errno.EEXIST))
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    if not above.is_dir():
        return State(is_there=False, problem=_cannot_be_made(errno.ENOTDIR))
    return _state(above, is_there=False)


def _state(directory: Path, *, is_there: bool) -> State:
    """What follows from a directory: the one that is asked about, or the one to make it in."""
    number = _closed_by(directory)
    problem = _cannot_be_written(number) if is_there else _cannot_be_made(number)
    return State(is_there, problem if number else "", number == errno.EROFS)


def _closed_by(directory: Path) -> int:
    """The number of the error that who writes there meets; 0 if there is none."""
    if os.access(directory, os.W_OK | os.X_OK):
        return 0
    return errno.EROFS if os.statvfs(directory).f_flag & os.ST_RDONLY else errno.EACCES


def _cannot_be_written(number: int) -> str:
    return f"cannot be written to ({os.strerror(number)})"


def _cannot_be_made(number: int) -> str:
    return f"cannot be made ({os.strerror(number)})"

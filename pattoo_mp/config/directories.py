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
    """What a look at a directory shows. `problem` says why it cannot be used; empty if it can."""

    is_there: bool
    problem: str = ""


def make(path: Path) -> str:
    """Make a directory, if it is not there. Why it cannot be used; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return _cannot_be_made(error.errno or 0)
    return _cannot_be_written(path)


def look(path: Path) -> State:
    """What `make` would say, as far as that can be known without touching anything."""
    try:
        return _look(path)
    except OSError as error:  # the way there is closed
        return State(is_there=False, problem=_cannot_be_made(error.errno or 0))


def _look(path: Path) -> State:
    if path.is_dir():
        return State(is_there=True, problem=_cannot_be_written(path))
    if os.path.lexists(path):
        return State(is_there=False, problem=_cannot_be_made(errno.EEXIST))
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    return State(is_there=False, problem=_cannot_hold_another(above))


def _cannot_hold_another(directory: Path) -> str:
    if not directory.is_dir():
        return _cannot_be_made(errno.ENOTDIR)
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        return _cannot_be_made(errno.EROFS)
    return "" if _is_open(directory) else _cannot_be_made(errno.EACCES)


def _cannot_be_written(path: Path) -> str:
    return "" if _is_open(path) else "cannot be written to"


def _cannot_be_made(number: int) -> str:
    return f"cannot be made ({os.strerror(number)})"


def _is_open(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)

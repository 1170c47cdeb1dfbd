"""The directories that settings name: made at the start, or only looked at."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.files import denied

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


def make_directory(path: Path) -> str:
    """Make a directory, if it is not there. Why it cannot be used; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return _state(path, error.errno or 0, is_there=False).problem
    return _state(path, _closed_by(path), is_there=True).problem


def directory_state(path: Path) -> State:
    """What `make` would say, as far as that can be known without touching anything."""
    try:
        if path.is_dir():
            return _state(path, _closed_by(path), is_there=True)
        return _state(path, _forbids_another(path), is_there=False)
    except OSError as error:  # the way there is closed
        return _state(path, error.errno or 0, is_there=False)


def _forbids_another(path: Path) -> int:
    """The number of the error that who makes a directory there meets; 0 if there is none."""
    if os.path.lexists(path):
        return errno.EEXIST
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    return _closed_by(above) if above.is_dir() else errno.ENOTDIR


def _closed_by(directory: Path) -> int:
    """The number of the error that who writes there meets; 0 if there is none."""
    if os.access(directory, os.W_OK | os.X_OK):
        return 0
    return errno.EROFS if os.statvfs(directory).f_flag & os.ST_RDONLY else errno.EACCES


def _state(path: Path, number: int, *, is_there: bool) -> State:
    """What it means for the one who wants `path` that the error of this number is met."""
    if not number:
        return State(is_there)
    what = "cannot be written to" if is_there else "cannot be made"
    whose = denied(path) if number == errno.EACCES else ""
    return State(is_there, f"{what} ({os.strerror(number)}){whose}", number == errno.EROFS)


# What encrypted mode needs of a host: looked for before anything is started, and not imported.

#: GnuPG's, and one of coreutils.
PROGRAMS: Final = ("gpg", "gpg-agent", "gpgconf", "timeout")


def missing_for_encryption() -> str:
    """What is not there, and what to do; empty if all is."""
    spec = find_spec("gnupg")
    # Another library of that name, which knows nothing of how this one is called, is a package.
    if spec is None or spec.submodule_search_locations is not None:
        return "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return (
                f"there is no {program} in PATH; expected GnuPG (the package gnupg of most systems)"
            )
    return ""

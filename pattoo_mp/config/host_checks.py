"""What the configuration needs of this host: writable directories, and GnuPG for encrypted mode.

`make_directory` is for a start; `directory_state` predicts its result without changing anything.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.files import path_permissions

if TYPE_CHECKING:
    from pathlib import Path


# --- directories


@dataclass(frozen=True, slots=True)
class State:
    """Whether a directory exists and can be used.

    `problem` says why it cannot be used; it is empty if it can. `is_read_only` is true if the reason
    is a read-only file system, and not a missing permission.
    """

    is_there: bool
    problem: str = ""
    is_read_only: bool = False


def make_directory(path: Path) -> str:
    """Make a directory, if it does not exist. Return why it cannot be used; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return _state(path, error.errno or 0, is_there=False).problem
    return _state(path, _write_error(path), is_there=True).problem


def directory_state(path: Path) -> State:
    """The state that `make_directory` would find, as far as it can be known without a change."""
    try:
        if path.is_dir():
            return _state(path, _write_error(path), is_there=True)
        return _state(path, _mkdir_error(path), is_there=False)
    except OSError as error:  # a parent directory is not accessible
        return _state(path, error.errno or 0, is_there=False)


def _mkdir_error(path: Path) -> int:
    """The errno that making this directory would fail with; 0 if it would succeed."""
    if os.path.lexists(path):
        return errno.EEXIST
    parent = next(parent for parent in path.parents if os.path.lexists(parent))
    return _write_error(parent) if parent.is_dir() else errno.ENOTDIR


def _write_error(directory: Path) -> int:
    """The errno that writing to this directory would fail with; 0 if it would succeed."""
    if os.access(directory, os.W_OK | os.X_OK):
        return 0
    return errno.EROFS if os.statvfs(directory).f_flag & os.ST_RDONLY else errno.EACCES


def _state(path: Path, error_number: int, *, is_there: bool) -> State:
    """The state of a directory whose use fails with this errno, or with none (0)."""
    if not error_number:
        return State(is_there)
    what = "cannot be written to" if is_there else "cannot be made"
    owner = path_permissions(path) if error_number == errno.EACCES else ""
    is_read_only = error_number == errno.EROFS
    return State(is_there, f"{what} ({os.strerror(error_number)}){owner}", is_read_only)


# --- encrypted mode; checked before anything starts, and without importing python-gnupg

#: Programs that encrypted mode runs: GnuPG's, and `timeout` of coreutils.
PROGRAMS: Final = ("gpg", "gpg-agent", "gpgconf", "timeout")


def missing_for_encryption() -> str:
    """What encrypted mode lacks on this host, and what to install; empty if nothing."""
    spec = find_spec("gnupg")
    # python-gnupg is a module. A package of this name is another library, with another interface.
    if spec is None or spec.submodule_search_locations is not None:
        return (
            "python-gnupg is not installed; expected the extra `encrypted` of pattoo_mp, "
            "or Debian's python3-gnupg"
        )
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return (
                f"there is no {program} in PATH; expected GnuPG (the package gnupg of most systems)"
            )
    return ""


def missing_for_remote_write() -> str:
    """What remote write lacks on this host, and what to install; empty if nothing."""
    if find_spec("snappy") is None:
        return (
            "python-snappy is not installed; expected the extra `remote-write` of pattoo_mp, "
            "or Debian's python3-snappy"
        )
    return ""

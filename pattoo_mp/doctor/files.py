"""The files that the agent keeps: whether a start could use them, found without touching any.

`--check` and `--doctor` look here, so that what they call well starts.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.config import host_checks
from pattoo_mp.spool import limits
from pattoo_mp.spool.file import holder, lock_of
from pattoo_mp.util import files
from pattoo_mp.util.files import denied

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pattoo_mp.config.values import Config


class Use(Enum):
    """What a look at the place of a file shows of it."""

    GOOD = "can be used"
    ABSENT = "not made yet"
    LINK = "is a symbolic link, and links are not followed"
    NO_FILE = "is no file"
    CLOSED = "cannot be read and written"
    NO_WAY = "lies in a directory that cannot be used"
    TRAP = "lies in somebody else's directory, where everybody may write"
    TAKEN = "is used by another agent"
    FULL = "lies on a disk that is full"


#: Nothing else hinders a start.
USABLE = frozenset({Use.GOOD, Use.ABSENT})
#: What a spool and its journal take before there is a poll in them.
SPOOL_BYTES: Final = 128 << 10
#: What the smallest file takes of a disk.
_BLOCK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """A file that the agent uses: `what` it is, where, and what is there now.

    `size` is in bytes, None of what has no size. `holder` is the process of another agent that uses it, 0 if it is not known.
    """

    what: str
    path: Path
    use: Use
    size: int | None = None
    holder: int = 0

    @property
    def problem(self) -> str:
        """Why a start could not use it, with whom it is closed to; empty if it could."""
        words: str = self.use.value
        match self.use:
            case Use.GOOD | Use.ABSENT:
                return ""
            case Use.CLOSED:
                return f"{words}{denied(self.path)}"
            case Use.NO_WAY:
                return f"{words}{denied(self.path.parent)}"
            case Use.TAKEN:
                return f"{words} (process {self.holder or 'unknown'})"
        return words


def look_at_all(config: Config, pid: int | None, closed: Collection[Path] = ()) -> list[Place]:
    """Each file that a start opens; `pid` is the control process, if an agent runs here.

    What lies in a directory of `closed`, which was complained of, needs no complaint of its own.
    """
    state = config.system_daemon_directory
    found = [
        look("log", paths.log_file(config)),
        _look_at_identity(paths.identity_file(config)),
        look("PID file", paths.pid_file(state)),
        _look_at_socket(paths.status_socket(state)),
        _look_at_spool(paths.spool_file(config), is_ours=pid is not None),
    ]
    return [
        place
        for place in found
        if not any(place.path.is_relative_to(directory) for directory in closed)
    ]


def look(what: str, path: Path, rights: int = os.R_OK | os.W_OK) -> Place:
    """Look at the place of a file that is used with `rights` (access(2)), and change nothing."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Place(what, path, _way_to(path.parent))
    except PermissionError:
        return Place(what, path, Use.NO_WAY)
    if stat.S_ISLNK(found.st_mode):
        return Place(what, path, Use.LINK)
    if not stat.S_ISREG(found.st_mode):
        return Place(what, path, Use.NO_FILE)
    if not os.access(path, rights):
        return Place(what, path, Use.CLOSED)
    return Place(what, path, Use.GOOD, found.st_size)


def _way_to(directory: Path) -> Use:
    """Whether a file could be made in a directory, which may not be there itself."""
    if host_checks.directory_state(directory).problem:
        return Use.NO_WAY
    if directory.exists() and files.is_laid_by_another(directory):
        return Use.TRAP
    return Use.ABSENT


def _look_at_identity(path: Path) -> Place:
    """It is only read; before the first start it is made, and cannot do without room."""
    place = look("identity", path, os.R_OK)
    is_full = place.use is Use.ABSENT and free_bytes(path) < _BLOCK_BYTES
    return replace(place, use=Use.FULL) if is_full else place


def _look_at_socket(path: Path) -> Place:
    """A socket is made anew at each start: it is the directory that counts."""
    use = _way_to(path.parent)
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            use = Use.NO_FILE
        elif stat.S_ISSOCK(mode) and use is Use.ABSENT:
            use = Use.GOOD
    return Place("status socket", path, use)


def _look_at_spool(path: Path, *, is_ours: bool) -> Place:
    """The spool with what lies beside it: the first that cannot be used stands for all of it.

    `is_ours` says that an agent runs here: then it is that one which holds it.
    """
    lock = lock_of(path)
    journal = [path.with_name(path.name + part) for part in ("-wal", "-shm")]
    spool, *beside = (look("spool", part) for part in (path, *journal, lock))
    bad = next((place for place in (spool, *beside) if place.use not in USABLE), None)
    if bad is not None:
        return bad
    by = None if is_ours else holder(lock)
    if by is not None:
        return replace(spool, use=Use.TAKEN, holder=by)
    full = free_bytes(path) < SPOOL_BYTES
    return replace(spool, use=Use.FULL) if full else spool


def free_bytes(path: Path) -> int:
    """How much room the disk has on which a file is, or would be made."""
    return limits.free_bytes(next(parent for parent in path.parents if parent.exists()))

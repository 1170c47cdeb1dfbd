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
from pattoo_mp.config.load import named_directories, transport_problems
from pattoo_mp.config.settings import FILES
from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import Finding, trouble, well
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.spool import limits
from pattoo_mp.spool.file import lock_holder, lock_path
from pattoo_mp.util import files, text
from pattoo_mp.util.files import as_user, denied

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
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


def inspect_all(config: Config, pid: int | None, closed: Collection[Path] = ()) -> list[Place]:
    """Each file that a start opens; `pid` is the control process, if an agent runs here.

    What lies in a directory of `closed`, which was complained of, needs no complaint of its own.
    """
    state = config.system_daemon_directory
    found = [
        inspect("log", paths.log_file(config)),
        _inspect_identity(paths.identity_file(config)),
        inspect("PID file", paths.pid_file(state)),
        _inspect_socket(paths.status_socket(state)),
        _inspect_spool(paths.spool_file(config), is_ours=pid is not None),
    ]
    return [
        place
        for place in found
        if not any(place.path.is_relative_to(directory) for directory in closed)
    ]


def inspect(what: str, path: Path, rights: int = os.R_OK | os.W_OK) -> Place:
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


def _inspect_identity(path: Path) -> Place:
    """It is only read; before the first start it is made, and cannot do without room."""
    place = inspect("identity", path, os.R_OK)
    is_full = place.use is Use.ABSENT and free_bytes(path) < _BLOCK_BYTES
    return replace(place, use=Use.FULL) if is_full else place


def _inspect_socket(path: Path) -> Place:
    """A socket is made anew at each start: it is the directory that counts."""
    use = _way_to(path.parent)
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            use = Use.NO_FILE
        elif stat.S_ISSOCK(mode) and use is Use.ABSENT:
            use = Use.GOOD
    return Place("status socket", path, use)


def _inspect_spool(path: Path, *, is_ours: bool) -> Place:
    """The spool with what lies beside it: the first that cannot be used stands for all of it.

    `is_ours` says that an agent runs here: then it is that one which holds it.
    """
    lock = lock_path(path)
    journal = [path.with_name(path.name + part) for part in ("-wal", "-shm")]
    spool, *beside = (inspect("spool", part) for part in (path, *journal, lock))
    bad = next((place for place in (spool, *beside) if place.use not in USABLE), None)
    if bad is not None:
        return bad
    by = None if is_ours else lock_holder(lock)
    if by is not None:
        return replace(spool, use=Use.TAKEN, holder=by)
    full = free_bytes(path) < SPOOL_BYTES
    return replace(spool, use=Use.FULL) if full else spool


def free_bytes(path: Path) -> int:
    """How much room the disk has on which a file is, or would be made."""
    return limits.free_bytes(next(parent for parent in path.parents if parent.exists()))


# The configuration's files, the directories, and the files in them: as the agent's user sees them.


def place_findings(etc: Path, config: Config, user: str, pid: int | None) -> Iterator[Finding]:
    """A line for each configuration file, directory and file.

    `user` is whom the agent runs as, and `pid` its control process, if one runs.
    """
    for name in FILES:
        if not os.access(etc / name, os.R_OK):
            yield trouble(
                name, f"{etc / name} cannot be read by {user}", f"let {user} read it, and {etc} too"
            )
    closed = []
    for setting, path in named_directories(config):
        state = host_checks.directory_state(path)
        closed += [path] if state.problem else []
        yield _directory(setting.name, path, state, user)
    for problem in transport_problems(config):
        yield trouble(
            problem.setting,
            f"{problem.path} {problem.wrong}{as_user(user)}",
            f"let it be {problem.expected}",
        )
    for place in inspect_all(config, pid, closed):
        yield in_words(place, user)


def _directory(name: str, path: Path, state: host_checks.State, user: str) -> Finding:
    if state.problem:
        mend = _remount(path) if state.is_read_only else f"install -d -o {user} {path}"
        return trouble(name, f"{path} {state.problem}", f"{mend}, or name another directory")
    return well(name, f"{path}" if state.is_there else f"{path}, which is made at the start")


def _remount(path: Path) -> str:
    mount = next(above for above in (path, *path.parents) if above.is_mount())
    return f"mount -o remount,rw {mount} (dmesg may say why it is read-only)"


def in_words(place: Place, user: str) -> Finding:
    """What a place is like, and what to do where the agent cannot use it."""
    match place.use:
        case Use.GOOD:
            size = "" if place.size is None else f", {text.size(place.size)}"
            return well(place.what, f"{place.path}{size}")
        case Use.ABSENT:
            return well(place.what, f"{place.path}, not made yet")
        case Use.LINK | Use.NO_FILE:
            advice = f"move {place.path} out of the way"
        case Use.CLOSED:
            advice = f"chown {user} {place.path}, and give {user} the right to read and write it"
        case Use.NO_WAY | Use.TRAP:
            advice = f"let {place.path.parent} be a directory of {user}'s"
        case Use.FULL:
            advice = f"make room on the disk of {place.path.parent}"
        case Use.TAKEN:
            advice = f"stop that one, or name another cache_directory than {place.path.parent}"
    return trouble(place.what, f"{place.path} {place.problem}", advice)


# What is in the way of a start besides the configuration, in the lines of `--check`.


def start_problems(config: Config, closed: Collection[Path]) -> list[str]:
    """A line for each file that a start could not use; none for those in `closed` directories."""
    found = inspect_all(config, _pid(config), closed)
    lines = [
        f"{place.path}: {place.problem}; expected a file that the agent can use"
        for place in found
        if place.problem
    ]
    identity = paths.identity_file(config)
    if any(place.path == identity and not place.problem for place in found):
        lines += filter(None, [host.identity_error(identity)])
    return lines


def _pid(config: Config) -> int | None:
    try:
        return Agent(config.system_daemon_directory).pid
    except PattooError:  # the PID file is told of for itself
        return None

"""The configuration's files, the directories, and the files in them: as the agent's user sees them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pattoo_mp import paths, private, units
from pattoo_mp.config import directories
from pattoo_mp.config.loading import distrust, named_directories
from pattoo_mp.config.settings import FILES
from pattoo_mp.doctor.finding import Finding, trouble, well
from pattoo_mp.whose import as_user

if TYPE_CHECKING:
    from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Place:
    """A file that the agent uses: `what` it is, where, and what is there now."""

    what: str
    path: Path
    use: Use
    size: int = 0


def agent_files(config: Config) -> list[tuple[str, Path]]:
    """The files that the agent keeps; it makes those that are not there."""
    return [
        ("log", paths.log_file(config)),
        ("identity", paths.identity_file(config)),
        ("PID file", paths.pid_file(config.system_daemon_directory)),
        ("spool", paths.spool_file(config)),
    ]


def look(what: str, path: Path) -> Place:
    """Look at the place of a file, and change nothing."""
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
    if not os.access(path, os.R_OK | os.W_OK):
        return Place(what, path, Use.CLOSED)
    return Place(what, path, Use.GOOD, found.st_size)


def _way_to(directory: Path) -> Use:
    """Whether a file could be made in a directory, which may not be there itself."""
    if directories.look(directory).problem:
        return Use.NO_WAY
    if directory.exists() and private.is_laid_by_another(directory):
        return Use.TRAP
    return Use.ABSENT


def findings(etc: Path, config: Config, user: str) -> Iterator[Finding]:
    """A line for each configuration file, directory and file; `user` is whom the agent runs as."""
    for name in FILES:
        if not os.access(etc / name, os.R_OK):
            yield trouble(
                name, f"{etc / name} cannot be read by {user}", f"let {user} read it, and {etc} too"
            )
    closed = []
    for setting, path in named_directories(config):
        state = directories.look(path)
        closed += [path] if state.problem else []
        yield _directory(setting.name, path, state, user)
    for problem in distrust(config):
        yield trouble(
            problem.setting,
            f"{problem.path} {problem.wrong}{as_user(user)}",
            f"let it be {problem.expected}",
        )
    for what, path in agent_files(config):
        # What lies in a directory that was complained of needs no complaint of its own.
        if not any(path.is_relative_to(directory) for directory in closed):
            yield in_words(look(what, path), user)


def _directory(name: str, path: Path, state: directories.State, user: str) -> Finding:
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
            return well(place.what, f"{place.path}, {units.size(place.size)}")
        case Use.ABSENT:
            return well(place.what, f"{place.path}, not made yet")
        case Use.LINK | Use.NO_FILE:
            advice = f"move {place.path} out of the way"
        case Use.CLOSED:
            advice = f"chown {user} {place.path}, and give {user} the right to read and write it"
        case Use.NO_WAY | Use.TRAP:
            advice = f"let {place.path.parent} be a directory of {user}'s"
    return trouble(place.what, f"{place.path} {place.use.value}", advice)

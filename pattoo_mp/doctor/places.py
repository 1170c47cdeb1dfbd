"""The configuration's files, the directories, and the files in them: as the agent's user sees them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pattoo_mp.config import host_checks
from pattoo_mp.config.load import distrust, named_directories
from pattoo_mp.config.settings import FILES
from pattoo_mp.doctor.files import Place, Use, look_at_all
from pattoo_mp.doctor.finding import Finding, trouble, well
from pattoo_mp.util import text
from pattoo_mp.util.files import as_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.config.values import Config


def findings(etc: Path, config: Config, user: str, pid: int | None) -> Iterator[Finding]:
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
    for problem in distrust(config):
        yield trouble(
            problem.setting,
            f"{problem.path} {problem.wrong}{as_user(user)}",
            f"let it be {problem.expected}",
        )
    for place in look_at_all(config, pid, closed):
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

"""Check the agent's files and directories: whether a start could use them, without touching any.

`--check` and `--doctor` share these checks, so an agent can start where both report no problem.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.config import host_checks, probe, ways
from pattoo_mp.config.load import named_directories, transport_problems
from pattoo_mp.doctor import host
from pattoo_mp.doctor.finding import Finding, ok, trouble
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from pattoo_mp.spool import limits
from pattoo_mp.spool.file import lock_holder, lock_path
from pattoo_mp.util import text, trust
from pattoo_mp.util.files import as_user, path_permissions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pattoo_mp.config.values import Config


class FileState(Enum):
    """Whether the agent could use a file, or why not."""

    GOOD = "can be used"
    ABSENT = "not made yet"
    LINK = "is a symbolic link, and links are not followed"
    NO_FILE = "is not a regular file"
    NO_ACCESS = "cannot be read and written"
    NO_DIRECTORY = "is in a directory that cannot be used"
    TRAP = "is in a directory that other users can change"
    TAKEN = "is used by another agent"
    FULL = "is on a disk that is full"


#: The states that do not prevent a start.
USABLE = frozenset({FileState.GOOD, FileState.ABSENT})
#: The size of a spool and its journal before they hold a poll.
SPOOL_BYTES: Final = 128 << 10
#: The disk space that the smallest file takes.
_BLOCK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file that the agent uses: `what` it is, its `path`, and its `state`.

    `size` is in bytes, None if the file is absent or not a regular file. `holder` is the process of
    another agent that uses it, 0 if unknown.
    """

    what: str
    path: Path
    state: FileState
    size: int | None = None
    holder: int = 0

    @property
    def problem(self) -> str:
        """Why a start could not use the file, with the user that has no access; empty if it could."""
        words: str = self.state.value
        match self.state:
            case FileState.TRAP:
                return f"{words}: it {trust.examine(self.path.parent, os.geteuid()).problem}"
            case FileState.GOOD | FileState.ABSENT:
                return ""
            case FileState.NO_ACCESS:
                return f"{words}{path_permissions(self.path)}"
            case FileState.NO_DIRECTORY:
                return f"{words}{path_permissions(self.path.parent)}"
            case FileState.TAKEN:
                return f"{words} (process {self.holder or 'unknown'})"
        return words


def inspect_all(
    config: Config, pid: int | None, reported: Collection[Path] = ()
) -> list[FileCheck]:
    """Check each file that a start opens; `pid` is the control process, if an agent runs here.

    Files below a directory in `reported`, whose problem is known already, are left out.
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
        file
        for file in found
        if not any(file.path.is_relative_to(directory) for directory in reported)
    ]


def inspect(what: str, path: Path, rights: int = os.R_OK | os.W_OK) -> FileCheck:
    """Check a file that the agent uses with `rights` (as in access(2)). Change nothing."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return FileCheck(what, path, _new_file_in(path.parent))
    except PermissionError:
        return FileCheck(what, path, FileState.NO_DIRECTORY)
    if stat.S_ISLNK(found.st_mode):
        return FileCheck(what, path, FileState.LINK)
    if not stat.S_ISREG(found.st_mode):
        return FileCheck(what, path, FileState.NO_FILE)
    if not os.access(path, rights):
        return FileCheck(what, path, FileState.NO_ACCESS)
    return FileCheck(what, path, FileState.GOOD, found.st_size)


def _new_file_in(directory: Path) -> FileState:
    """Return whether a file could be made in a directory, which may not exist itself."""
    if host_checks.directory_state(directory).problem:
        return FileState.NO_DIRECTORY
    if trust.examine(directory, os.geteuid()).problem:
        return FileState.TRAP
    return FileState.ABSENT


def _inspect_identity(path: Path) -> FileCheck:
    """Check the identity. It is only read; but the first start makes it, and needs disk space."""
    file = inspect("identity", path, os.R_OK)
    is_full = file.state is FileState.ABSENT and free_bytes(path) < _BLOCK_BYTES
    return replace(file, state=FileState.FULL) if is_full else file


def _inspect_socket(path: Path) -> FileCheck:
    """Check where the status socket is made. Each start makes it again, so its directory matters."""
    state = _new_file_in(path.parent)
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            state = FileState.NO_FILE
        elif stat.S_ISSOCK(mode) and state is FileState.ABSENT:
            state = FileState.GOOD
    return FileCheck("status socket", path, state)


def _inspect_spool(path: Path, *, is_ours: bool) -> FileCheck:
    """Check the spool, its journal and its lock file. Return the first that cannot be used.

    `is_ours` says that an agent runs here: then that agent holds the lock.
    """
    lock = lock_path(path)
    journal = [path.with_name(path.name + part) for part in ("-wal", "-shm")]
    spool, *others = (inspect("spool", part) for part in (path, *journal, lock))
    bad = next((file for file in (spool, *others) if file.state not in USABLE), None)
    if bad is not None:
        return bad
    holder = None if is_ours else lock_holder(lock)
    if holder is not None:
        return replace(spool, state=FileState.TAKEN, holder=holder)
    is_full = free_bytes(path) < SPOOL_BYTES
    return replace(spool, state=FileState.FULL) if is_full else spool


def free_bytes(path: Path) -> int:
    """Return the free bytes on the disk of a file that exists or would be made."""
    return limits.free_bytes(next(parent for parent in path.parents if parent.exists()))


# Findings of --doctor. This process must have the permissions of the agent's user.


def file_findings(etc: Path, config: Config, user: str, pid: int | None) -> Iterator[Finding]:
    """Yield a finding for each configuration file with a problem, and each directory and file.

    `user` is the agent's user, and `pid` its control process, if one runs.
    """
    for path in ways.configuration_files(etc)[1:]:
        if not os.access(path, os.R_OK) and not _is_missing(path):
            yield trouble(
                path.name, f"{path} cannot be read by {user}", f"let {user} read it, and {etc} too"
            )
    reported: list[Path] = []
    yield from _directories(config, user, reported)
    yield from _untrusted(config, reported)
    for error in transport_problems(config):
        yield trouble(
            error.setting,
            f"{error.path} {error.wrong}{as_user(user)}",
            f"expected {error.expected}",
        )
    files_found = inspect_all(config, pid, reported)
    for file in files_found:
        yield file_finding(file, user)
    for path, lack, expected in _probed(config, reported, files_found):
        yield trouble("file system", f"{path} {lack}", f"expected {expected}")


def _is_missing(path: Path) -> bool:
    """Whether there is certainly no such file: what we may not look at may be there."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _directories(config: Config, user: str, reported: list[Path]) -> Iterator[Finding]:
    """Yield a finding for each directory, except for those with no other problem than `_untrusted` has.

    Adds those that cannot be used to `reported`.
    """
    for setting, path in named_directories(config):
        state = host_checks.directory_state(path)
        reported += [path] if state.problem else []
        if state.problem or not trust.examine(path, os.geteuid()).problem:
            yield _directory(setting.name, path, state, user)


def _untrusted(config: Config, reported: list[Path]) -> Iterator[Finding]:
    """Yield a finding for each path that other users could change, but for those in `reported`.

    Adds the directories among them to it.
    """
    found = [e for e in ways.setting_problems(config, os.geteuid()) if e.path not in reported]
    for error in found:
        yield trouble(error.setting, f"{error.path} {error.wrong}", f"expected {error.expected}")
    reported += [Path(str(error.path)) for error in found]
    yield from map(untrusted_finding, ways.file_problems(config, os.geteuid(), reported))


def untrusted_finding(line: str) -> Finding:
    """Return the finding for a line about a file that other users could change."""
    found, _, expected = line.rpartition("; ")
    return trouble("owners", found, expected)


def _probed(
    config: Config, reported: Collection[Path], found: Collection[FileCheck]
) -> Iterator[tuple[Path, str, str]]:
    """Try what a start does. Yield each directory with a problem, the problem, and what is expected.

    Directories in `reported`, and those whose full disk is known from a file, are left out.
    """
    known = {*reported, *(file.path.parent for file in found if file.state is FileState.FULL)}
    for path, lack in probe.lacking(config).items():
        if path not in known:
            yield path, lack, "one that has them: configure another directory"
    for path in {path: None for _, path in named_directories(config) if path not in known}:
        if full := probe.no_room(path):
            yield path, full, "room: remove files, or raise the quota of the agent's user"


def _directory(name: str, path: Path, state: host_checks.State, user: str) -> Finding:
    if state.problem:
        fix = _remount(path) if state.is_read_only else f"install -d -o {user} {path}"
        return trouble(name, f"{path} {state.problem}", f"{fix}, or configure another directory")
    return ok(name, f"{path}" if state.is_there else f"{path}, made at the start")


def _remount(path: Path) -> str:
    mount = next(above for above in (path, *path.parents) if above.is_mount())
    return f"mount -o remount,rw {mount} (dmesg may say why it is read-only)"


def file_finding(file: FileCheck, user: str) -> Finding:
    """Return the finding for a file, with advice if the agent cannot use it."""
    match file.state:
        case FileState.GOOD:
            size = "" if file.size is None else f", {text.size(file.size)}"
            return ok(file.what, f"{file.path}{size}")
        case FileState.ABSENT:
            return ok(file.what, f"{file.path}, not made yet")
        case FileState.LINK | FileState.NO_FILE:
            advice = f"move {file.path} out of the way"
        case FileState.NO_ACCESS:
            advice = f"chown {user} {file.path}, and let {user} read and write it"
        case FileState.NO_DIRECTORY | FileState.TRAP:
            advice = f"make {file.path.parent} a directory that {user} owns"
        case FileState.FULL:
            advice = f"make room on the disk of {file.path.parent}"
        case FileState.TAKEN:
            advice = (
                f"stop that agent, or configure another cache_directory than {file.path.parent}"
            )
    return trouble(file.what, f"{file.path} {file.problem}", advice)


# Problem lines of --check.


def start_problems(config: Config, reported: Collection[Path]) -> list[str]:
    """Return a line for each file that a start could not use, but for those below `reported`."""
    found = inspect_all(config, _pid(config), reported)
    lines = [
        f"{file.path}: {file.problem}; expected a file that the agent can use"
        for file in found
        if file.problem
    ]
    lines += [
        f"{path} {problem}; expected {expected}"
        for path, problem, expected in _probed(config, reported, found)
    ]
    identity = paths.identity_file(config)
    if any(file.path == identity and not file.problem for file in found):
        lines += filter(None, [host.identity_error(identity)])
    return lines


def _pid(config: Config) -> int | None:
    try:
        return Agent(config.system_daemon_directory).pid
    except PattooError:  # inspect_all() reports the PID file itself
        return None

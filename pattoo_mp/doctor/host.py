"""Check this host: its clock, its mounts, its identity and name, and the agent's user."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp import identity, paths
from pattoo_mp.collect.registry import LIMIT_S
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.errors import IdentityError
from pattoo_mp.model import Origin
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util import text, users
from pattoo_mp.util.users import user_name
from pattoo_mp.wire.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pattoo_mp.config.values import Config


# The host's clock.

#: TIME_ERROR of adjtimex(2): the clock is not synchronised.
_TIME_ERROR: Final = 5
#: Larger than struct timex on any architecture. All zeros make adjtimex(2) only read.
_TIMEX_BYTES: Final = 512
#: The server sends its time in whole seconds, and its answer takes a while.
_SAME_TIME_S: Final = 5.0


def is_synchronised() -> bool | None:
    """Return whether the kernel's clock follows a time server; None if the kernel does not say."""
    try:
        answer = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def clock_findings(synchronised: bool | None, ahead_s: float | None) -> Iterator[Finding]:
    """Yield findings on the clock, as far as known: against the server's, and its time server.

    `ahead_s` is how far the server's clock is ahead of ours.
    """
    if ahead_s is not None:
        yield _against_server(ahead_s)
    if synchronised:
        yield ok("time server", "followed")
    elif synchronised is not None:
        yield note(
            "time server",
            "the kernel reports that the clock follows none",
            "run chrony, ntpd or systemd-timesyncd: polls carry this host's time",
        )


def _against_server(ahead_s: float) -> Finding:
    if abs(ahead_s) <= _SAME_TIME_S:
        return ok("clock", "agrees with the server's")
    where = "behind" if ahead_s > 0 else "ahead of"
    return trouble(
        "clock",
        f"{text.duration(abs(ahead_s))} {where} the server's",
        "set it, and let both hosts follow a time server: polls carry this host's time, and one from "
        "the future keeps all polls until then out of the charts",
    )


# Mounts that hang. Mounts that polls skip count too: the agent's files may be on one.

#: Asking about an automount point would mount its file system.
_NOT_ASKED: Final = frozenset({"autofs"})


def mount_answers(limit_s: float = LIMIT_S) -> dict[str, bool]:
    """Return whether each mount point answers, within `limit_s` for all of them together."""
    mounts = [m.mountpoint for m in psutil.disk_partitions(all=True) if m.fstype not in _NOT_ASKED]
    answers = TimeLimited("mounts", _usage, limit_s).ask(mounts)
    return {mount: not isinstance(answer, NoAnswerError) for mount, answer in answers.items()}


def _usage(mount: str) -> os.statvfs_result:
    return os.statvfs(mount)


def mount_findings(answers: Mapping[str, bool]) -> Iterator[Finding]:
    """Yield a finding for each mount that does not answer, or one if all of them do."""
    hanging = [mount for mount, answered in answers.items() if not answered]
    for mount in hanging:
        yield note(
            "mount",
            f"{safe_text(mount)} does not answer",
            "restore what it waits for, or unmount it (umount --lazy); polls do not wait for it",
        )
    if not hanging:
        yield ok("mounts", f"{len(answers)}, all of them answer")


# The agent's identity, and the host's name, which all series carry.

#: Stands for an identity that is not made yet.
_NONE_YET: Final = "0" * 64
#: The first start waits for the name server, so a slower answer is worth a note.
_SLOW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """The agent's identity and the host's name.

    `error` says what is wrong with the identity. `took_s` is how long the name took to find.
    `renamed` is the name of the host now if the agent keeps another one; `name_file` is where.
    """

    origin: Origin
    error: str
    took_s: float
    renamed: str = ""
    name_file: Path = Path()

    @property
    def is_new(self) -> bool:
        """Whether the identity is not made yet."""
        return self.origin.agent_id == _NONE_YET


def identity_error(path: Path) -> str:
    """Return why the identity at `path` cannot be used; empty if it can, or is not made yet."""
    return _identity(path)[1]


def _identity(path: Path) -> tuple[str, str]:
    if path.exists():
        try:
            return identity.read_agent_id(path), ""
        except IdentityError as bad:
            return _NONE_YET, str(bad)
    return _NONE_YET, ""


def find_identity(path: Path, configured: str | None = None) -> HostIdentity:
    """Read the identity at `path`, and look up the host's name unless it is `configured`.

    An identity that is not there is not made.
    """
    agent_id, error = _identity(path)
    begun = time.monotonic()
    kept = configured or identity.kept_name(path)
    now = configured or current_name()
    took_s = time.monotonic() - begun
    renamed = now if kept and now and identity.differs(now, kept) else ""
    hostname = kept or now or socket.gethostname()
    return HostIdentity(
        Origin(agent_id, hostname), error, took_s, renamed, identity.name_file(path)
    )


def current_name(limit_s: float = identity.LOOK_UP_S) -> str:
    """Return the name that the host has now; empty if no name server answers in time."""
    limited: TimeLimited[None, str] = TimeLimited(
        "host name", lambda _: identity.host_name(None), limit_s
    )
    try:
        return limited.ask_one(None)
    except NoAnswerError:
        return ""


def identity_findings(found: HostIdentity) -> Iterator[Finding]:
    """Yield a finding for the identity, and one for the host's name."""
    if found.error:
        yield trouble("identity", found.error, "repair the file; a new identity begins new charts")
    elif found.is_new:
        yield ok("identity", "none yet; the first start makes it")
    else:
        yield ok("identity", f"{found.origin.agent_id[:8]}…")
    hostname, took = found.origin.hostname, text.duration(found.took_s)
    if found.took_s > _SLOW_S:
        yield note(
            "host name",
            f"{hostname}, after {took}",
            "check the name server: the first start waits for it",
        )
    elif found.renamed:
        yield note(
            "host name",
            f"{hostname} is kept; the host is called {safe_text(found.renamed)} now",
            f"to begin new charts with that name, set hostname, or remove {found.name_file} and restart",
        )
    elif hostname.partition(".")[0] == "localhost":
        yield note(
            "host name", hostname,
            "give this host a name (hostnamectl, /etc/hosts): charts are found by it",
        )  # fmt: skip
    else:
        yield ok("host name", hostname)


# The user that the agent runs as, and how to check files with that user's permissions.

_RUNS_DOCTOR: Final = "runs this command"


@dataclass(frozen=True, slots=True)
class User:
    """A user, and `why` it is taken for the agent's. The first of `groups` is the primary one."""

    uid: int
    groups: tuple[int, ...]
    name: str
    why: str


def agent_user(config: Config, pid: int | None) -> User:
    """Return the user that the agent runs as, or would.

    That is the user of the control process `pid`, if one runs; else the owner of the agent's identity
    or directories; else the user of this process.
    """
    clues = [(Path(f"/proc/{pid}"), "runs the agent")] if pid is not None else []
    left = (paths.identity_file(config), config.daemon_directory, config.cache_directory)
    clues += [(path, f"owns {path}") for path in left]
    for path, why in clues:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found = path.stat()
            # Files that root left there by mistake do not make root the agent's user.
            if found.st_uid or os.geteuid() == 0:
                return user(found.st_uid, found.st_gid, why)
    return user(os.geteuid(), os.getegid(), _RUNS_DOCTOR)


def user(uid: int, gid: int, why: str) -> User:
    """Return a user with name and groups, or with `gid` alone if the host does not know the user."""
    return User(uid, users.groups_of(uid, gid), user_name(uid), why)


def is_current_user(user: User) -> bool:
    """Return whether this process runs as the agent's user, known from its process or files."""
    return user.uid == os.geteuid() and user.why != _RUNS_DOCTOR


def switch_to(user: User) -> None:
    """Switch this process from root to `user` for good; as another user, do nothing.

    There is no other way to find out what `user` has no permission for.
    """
    if os.geteuid() == 0 and user.uid != 0:
        users.become(user.uid, user.groups)


def user_findings(user: User, *, has_access: bool) -> list[Finding]:
    """Return a finding on the agent's user.

    `has_access` is false if we are neither that user nor able to switch to it.
    """
    found = f"{user.name}, who {user.why}"
    if not has_access:
        who = "" if user.why == _RUNS_DOCTOR else f": that is {found}"
        advice = "run --doctor as that user, or as root"
        return [note("user", f"you are not the agent's user{who}", advice)]
    if user.uid == 0:
        advice = "run it as a dedicated user who owns its directories: it needs no root privileges"
        return [note("user", found, advice)]
    return [ok("user", found)]

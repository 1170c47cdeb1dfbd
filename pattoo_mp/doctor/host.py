"""Whether this host's clock can be believed."""

from __future__ import annotations

import ctypes
import os
import pwd
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp import identity, paths
from pattoo_mp.collect.registry import LIMIT_S
from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.errors import IdentityError
from pattoo_mp.model import Origin
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util import text
from pattoo_mp.wire.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pattoo_mp.config.values import Config


#: adjtimex(2): the clock is not synchronised.
_TIME_ERROR: Final = 5
#: Larger than struct timex on any architecture. All zeros only asks.
_TIMEX_BYTES: Final = 512
#: The server gives its time in whole seconds, and its answer takes a while.
_SAME_TIME_S: Final = 5.0


def is_synchronised() -> bool | None:
    """Whether the kernel follows a time server; None if it does not say."""
    try:
        answer = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def clock_findings(synchronised: bool | None, ahead_s: float | None) -> Iterator[Finding]:
    """What the kernel says of its clock, and by how much the server's is ahead, where known."""
    if ahead_s is not None:
        yield _against_the_server(ahead_s)
    if synchronised:
        yield well("time server", "followed")
    elif synchronised is not None:
        yield note(
            "time server",
            "none is followed, as far as the kernel knows",
            "run chrony, ntpd or systemd-timesyncd: polls carry this host's time",
        )


def _against_the_server(ahead_s: float) -> Finding:
    if abs(ahead_s) <= _SAME_TIME_S:
        return well("clock", "agrees with the server's")
    where = "behind" if ahead_s > 0 else "ahead of"
    return trouble(
        "clock",
        f"{text.duration(abs(ahead_s))} {where} the server's",
        "set it, and let both follow a time server: polls carry this host's time, and one from the "
        "future keeps all that come before then out of the charts",
    )


# Mounts that hang: those that a poll does not ask about, too, for the agent's files may lie there.

#: To ask about one of these would mount what belongs there.
_NOT_ASKED: Final = frozenset({"autofs"})


def mount_answers(limit_s: float = LIMIT_S) -> dict[str, bool]:
    """Every mount point, and whether it answers; all of them together may take `limit_s`."""
    mounts = [m.mountpoint for m in psutil.disk_partitions(all=True) if m.fstype not in _NOT_ASKED]
    answers = TimeLimited("mounts", _usage, limit_s).ask(mounts)
    return {mount: not isinstance(answer, NoAnswerError) for mount, answer in answers.items()}


def _usage(mount: str) -> os.statvfs_result:
    return os.statvfs(mount)


def mount_findings(answers: Mapping[str, bool]) -> Iterator[Finding]:
    """Those that do not answer, each; or that all do."""
    hanging = [mount for mount, answered in answers.items() if not answered]
    for mount in hanging:
        yield note(
            "mount",
            f"{safe_text(mount)} does not answer",
            "bring back what it waits for, or unmount it (umount --lazy); polls do not wait for it",
        )
    if not hanging:
        yield well("mounts", f"{len(answers)}, and all answer")


# Who this host is to the server: its identity, and the name that its series carry.

#: Stands in a look at the host for the identity that is not made yet.
_NONE_YET: Final = "0" * 64
#: A start waits for the name server.
_SLOW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Name:
    """Who this host is, as far as it is known; `error` says what is wrong with its identity."""

    origin: Origin
    error: str
    took_s: float

    @property
    def is_new(self) -> bool:
        """Whether the identity is not made yet."""
        return self.origin.agent_id == _NONE_YET


def identity_error(path: Path) -> str:
    """Why the identity at `path` is of no use; empty if it is good, or none is there yet."""
    return _identity(path)[1]


def _identity(path: Path) -> tuple[str, str]:
    if path.exists():
        try:
            return identity.known(path), ""
        except IdentityError as bad:
            return _NONE_YET, str(bad)
    return _NONE_YET, ""


def find_name(path: Path, configured: str | None = None) -> Name:
    """Read the identity at `path`, make none, and ask for the host's name if none is configured."""
    agent_id, error = _identity(path)
    begun = time.monotonic()
    hostname = identity.host_name(configured)
    return Name(Origin(agent_id, hostname), error, time.monotonic() - begun)


def name_findings(name: Name) -> Iterator[Finding]:
    """A line for the identity, and one for the name."""
    if name.error:
        yield trouble("identity", name.error, "mend the file; a new identity begins new charts")
    elif name.is_new:
        yield well("identity", "none yet; it is made at the first start")
    else:
        yield well("identity", f"{name.origin.agent_id[:8]}…")
    hostname, took = name.origin.hostname, text.duration(name.took_s)
    if name.took_s > _SLOW_S:
        yield note("host name", f"{hostname}, after {took}", "see to the name server: starts wait")
    elif hostname.partition(".")[0] == "localhost":
        yield note(
            "host name", hostname,
            "name this host (hostnamectl, /etc/hosts): its charts are found by its name",
        )  # fmt: skip
    else:
        yield well("host name", hostname)


# Whom the agent runs as on this host, and how to see with that user's eyes.

ASKS: Final = "asks"


@dataclass(frozen=True, slots=True)
class User:
    """A user, and `why` it is taken to be the agent's. `groups` begins with its own."""

    uid: int
    groups: tuple[int, ...]
    name: str
    why: str


def agents_user(config: Config, pid: int | None) -> User:
    """Whom the agent runs as, or would: who runs it now, or owns what it left, or asks.

    `pid` is the control process, if one runs.
    """
    clues = [(Path(f"/proc/{pid}"), "runs the agent")] if pid is not None else []
    left = (paths.identity_file(config), config.daemon_directory, config.cache_directory)
    clues += [(path, f"owns {path}") for path in left]
    for path, why in clues:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found = path.stat()
            # What root left there by mistake makes nobody else a stranger.
            if found.st_uid or os.geteuid() == 0:
                return user(found.st_uid, found.st_gid, why)
    return user(os.geteuid(), os.getegid(), ASKS)


def user(uid: int, gid: int, why: str) -> User:
    """A user with its name and groups, or with `gid` alone if the host knows no such user."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(uid, (gid,), str(uid), why)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return User(uid, (entry.pw_gid, *groups), entry.pw_name, why)


def is_us(user: User) -> bool:
    """Whether the agent is known to be ours, and not only taken to be."""
    return user.uid == os.geteuid() and user.why != ASKS


def become(user: User) -> None:
    """Be `user` from here on, if we are root: what it may not do shows in no other way.

    For a process that does nothing else afterwards.
    """
    if os.geteuid() == 0 and user.uid != 0:
        os.setgroups(user.groups)
        os.setgid(user.groups[0])
        os.setuid(user.uid)


def user_findings(user: User, *, sees: bool) -> list[Finding]:
    """Whose eyes these are. `sees` is false if we can neither be the agent's user nor become it."""
    found = f"{user.name}, who {user.why}"
    if not sees:
        who = "" if user.why == ASKS else f": that is {found}"
        return [note("user", f"you are not the agent's{who}", "ask as that user, or as root")]
    if user.uid == 0:
        advice = "let a user of its own run it, who owns its directories: it needs no rights"
        return [note("user", found, advice)]
    return [well("user", found)]

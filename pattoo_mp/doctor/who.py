"""Whom the agent runs as on this host, and how to see with that user's eyes."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.doctor.finding import Finding, note, well

if TYPE_CHECKING:
    from pattoo_mp.config.values import Config

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


def findings(user: User, *, sees: bool) -> list[Finding]:
    """Whose eyes these are. `sees` is false if we can neither be the agent's user nor become it."""
    found = f"{user.name}, who {user.why}"
    if not sees:
        who = "" if user.why == ASKS else f": that is {found}"
        return [note("user", f"you are not the agent's{who}", "ask as that user, or as root")]
    if user.uid == 0:
        advice = "let a user of its own run it, who owns its directories: it needs no rights"
        return [note("user", found, advice)]
    return [well("user", found)]

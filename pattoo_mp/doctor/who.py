"""Whom the agent runs as on this host, and how to see with that user's eyes."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp import paths
from pattoo_mp.doctor.finding import Finding, note, well

if TYPE_CHECKING:
    from pattoo_mp.config import Config


@dataclass(frozen=True, slots=True)
class User:
    """A user, and `why` it is taken to be the agent's. `groups` begins with its own."""

    uid: int
    groups: tuple[int, ...]
    name: str
    why: str


def agents_user(config: Config, pid: int | None) -> User:
    """Whom the agent runs as, or would: who runs it now, or owns what it left, or asks.

    `pid` is the control process, if one runs. Raises `OSError` if we may not look.
    """
    clues = [(Path(f"/proc/{pid}"), "runs the agent")] if pid is not None else []
    if os.geteuid() == 0:
        left = (paths.identity_file(config), config.daemon_directory, config.cache_directory)
        clues += [(path, f"owns {path}") for path in left]
    for path, why in clues:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = path.stat()
            return user(found.st_uid, found.st_gid, why)
    return user(os.geteuid(), os.getegid(), "asks")


def user(uid: int, gid: int, why: str) -> User:
    """A user with its name and groups, or with `gid` alone if the host knows no such user."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(uid, (gid,), str(uid), why)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return User(uid, (entry.pw_gid, *groups), entry.pw_name, why)


def become(user: User) -> None:
    """Be `user` from here on, if we are root: what it may not do shows in no other way.

    For a process that does nothing else afterwards.
    """
    if os.geteuid() == 0 and user.uid != 0:
        os.setgroups(user.groups)
        os.setgid(user.groups[0])
        os.setuid(user.uid)


def findings(user: User, asking_uid: int) -> list[Finding]:
    """Whose eyes these are; `asking_uid` is the user who asks."""
    found = f"{user.name}, who {user.why}"
    if user.uid == 0:
        advice = "let a user of its own run it, who owns its directories: it needs no rights"
        return [note("user", found, advice)]
    if asking_uid not in {0, user.uid}:
        return [note("user", f"{found}; you are another", f"ask as {user.name}, or as root")]
    return [well("user", found)]

"""Other users: their names and groups, and becoming one of them."""

from __future__ import annotations

import os
import pwd


def user_name(uid: int) -> str:
    """Return the name of a user, or the number if this host has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def groups_of(uid: int, gid: int) -> tuple[int, ...]:
    """Return the groups of a user, the primary one first; `gid` alone if the host does not know it."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return (gid,)
    return tuple(dict.fromkeys([entry.pw_gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)]))


def become(uid: int, groups: tuple[int, ...]) -> None:
    """Switch this process from root to the user `uid`, for good. The first group is the primary one.

    Raises `OSError` if this root may not (a container without CAP_SETUID).
    """
    os.setgroups(groups)
    os.setgid(groups[0])
    os.setuid(uid)

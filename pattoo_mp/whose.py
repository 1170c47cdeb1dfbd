"""Who we are, and whose a file is: for a line about what we may not do."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path


def user_name(uid: int) -> str:
    """The name of a user; its number, if this host knows none of it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def as_user(name: str) -> str:
    """To follow what shows to one user, and may not to another."""
    return f", as {name}"


def denied(path: Path) -> str:
    """To follow what we may not do with `path`: who we are, and who owns what is in the way."""
    us = _as_ourselves()
    at = next((near for near in (path, *path.parents) if os.path.lexists(near)), path)
    with suppress(OSError):
        found = at.stat()
        what = "it" if at == path else at
        return (
            f"{us}: {user_name(found.st_uid)} owns {what} (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    return us


def not_ours(pid: int) -> str:
    """To follow what we may not do with a process: who we are, and who runs it."""
    with suppress(OSError):
        owner = user_name(Path(f"/proc/{pid}").stat().st_uid)
        return f"{_as_ourselves()}: {owner} runs it"
    return _as_ourselves()


def reason(error: OSError, path: Path) -> str:
    """The words of an error about `path`, with `denied` where it is about rights."""
    words = error.strerror or str(error)
    return f"{words}{denied(path)}" if error.errno == errno.EACCES else words


def _as_ourselves() -> str:
    return as_user(user_name(os.geteuid()))

"""Whose directories the configuration names: an agent that root starts runs as their owner."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pattoo_mp.config import load
from pattoo_mp.errors import ConfigError
from pattoo_mp.util.files import owned_by_another, user_name

if TYPE_CHECKING:
    from pathlib import Path


def find_owner(directory: Path) -> tuple[int, int] | None:
    """Return user and group of the directories that the files in `directory` name; None if root's.

    Directories that are root's or do not exist yet decide nothing, nor do those that another user may
    have placed as a trap, nor an invalid configuration: the checks of a start refuse these. Raises `ConfigError` if they
    have several owners.
    """
    owners: dict[int, tuple[int, Path]] = {}
    for path in load.read_directories(directory):
        with suppress(OSError):
            found = path.stat()
            if found.st_uid and not owned_by_another(path):
                owners.setdefault(found.st_uid, (found.st_gid, path))
    if len(owners) > 1:
        belong = ", ".join(f"{path} to {user_name(uid)}" for uid, (_, path) in owners.items())
        raise ConfigError(
            [f"{directory}: its directories belong to several users ({belong}); expected one owner"]
        )
    return next(((uid, gid) for uid, (gid, _) in owners.items()), None)

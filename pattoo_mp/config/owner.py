"""Whose directories the configuration names: an agent that root starts runs as their owner."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pattoo_mp.config import load, ways
from pattoo_mp.errors import ConfigError
from pattoo_mp.util import trust
from pattoo_mp.util.users import user_name

if TYPE_CHECKING:
    from pathlib import Path


def find_owner(directory: Path) -> tuple[int, int] | None:
    """Return user and group of the files in `directory`, and of the directories that they name.

    None if all are root's. Directories that another user may have placed decide nothing, nor does an
    invalid configuration: the checks of a start refuse these. Raises `ConfigError` if there are several
    owners, or if another user could change the configuration itself.
    """
    if problems := ways.configuration_problems(directory):
        raise ConfigError(problems)
    owners: dict[int, tuple[int, Path]] = {}
    for path in (*ways.configuration_files(directory), *load.read_directories(directory)):
        way = trust.examine(path)
        if way.owner and not way.problem:
            owners.setdefault(way.owner, (way.group, path))
    if len(owners) > 1:
        belong = ", ".join(f"{path} to {user_name(uid)}" for uid, (_, path) in owners.items())
        raise ConfigError(
            [f"{directory}: its directories belong to several users ({belong}); expected one owner"]
        )
    return next(((uid, gid) for uid, (gid, _) in owners.items()), None)


def user_of(directory: Path) -> int:
    """Return the user that a start by this process would run the agent as. Raises as `find_owner` does."""
    if os.geteuid():
        return os.geteuid()
    found = find_owner(directory)
    return found[0] if found else 0

"""What is in the way of a start besides the configuration, in the lines of `--check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp import paths
from pattoo_mp.doctor import name
from pattoo_mp.doctor.files import look_at_all
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pattoo_mp.config.values import Config


def hindrances(config: Config, closed: Collection[Path]) -> list[str]:
    """A line for each file that a start could not use; none for those in `closed` directories."""
    found = look_at_all(config, _pid(config), closed)
    lines = [
        f"{place.path}: {place.problem}; expected a file that the agent can use"
        for place in found
        if place.problem
    ]
    identity = paths.identity_file(config)
    if any(place.path == identity and not place.problem for place in found):
        lines += filter(None, [name.identity_error(identity)])
    return lines


def _pid(config: Config) -> int | None:
    try:
        return Agent(config.system_daemon_directory).pid
    except PattooError:  # the PID file is told of for itself
        return None

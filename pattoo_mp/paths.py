"""Where things lie: names that a pattoo user knows, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.config.values import Config


def log_file(config: Config) -> Path:
    """The log that all pattoo programs share."""
    return config.log_directory / "pattoo.log"


def identity_file(config: Config) -> Path:
    """The agent's identity, the same file as the original agent's."""
    return config.daemon_directory / "agent_id" / f"{PROGRAM}.agent_id"


def pid_file(system_daemon_directory: Path) -> Path:
    """The file on which a running control process holds its lock."""
    return system_daemon_directory / "pid" / f"{PROGRAM}.pid"


def status_socket(system_daemon_directory: Path) -> Path:
    """Where a running control process answers for its status."""
    return system_daemon_directory / "run" / f"{PROGRAM}.sock"


def supervisor_file(system_daemon_directory: Path) -> Path:
    """What a control process under supervisord noted of it."""
    return system_daemon_directory / "run" / f"{PROGRAM}.supervisor"


def keys_directory(config: Config) -> Path:
    """The agent's key for encrypted mode, the same place as the original agent's."""
    return config.daemon_directory / "keys" / PROGRAM


def spool_file(config: Config) -> Path:
    """The polls that wait for the server."""
    return config.cache_directory / f"{PROGRAM}.spool.sqlite"

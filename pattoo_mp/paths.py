"""Where things lie: names that a pattoo user knows, in one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import ConfigError
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Mapping

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


# Where the configuration lies.

VARIABLE: Final = "PATTOO_CONFIGDIR"
DEFAULT_DIRECTORY: Final = "/etc/pattoo"


def config_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """`PATTOO_CONFIGDIR`, or /etc/pattoo where that is not set; always absolute.

    Raises `ConfigError` if it is below the home of a user that there is not.
    """
    named = as_named(environment)
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError([f"{VARIABLE}: {named}: {error}; expected a directory"]) from error


def as_named(environment: Mapping[str, str] = os.environ) -> str:
    """What `config_directory` goes by, as it is written there."""
    return environment.get(VARIABLE) or DEFAULT_DIRECTORY

"""Paths of the agent's files and of its configuration directory.

They are the ones that pattoo users know.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import ConfigError
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Config


def log_file(config: Config) -> Path:
    """The log file of this program."""
    return config.log_directory / this_program().log_name


def identity_file(config: Config) -> Path:
    """The file of the agent's identity, the same as the original agent's."""
    return config.daemon_directory / "agent_id" / f"{this_program().name}.agent_id"


def pid_file(system_daemon_directory: Path) -> Path:
    """The file that a running control process keeps locked."""
    return system_daemon_directory / "pid" / f"{this_program().name}.pid"


def status_socket(system_daemon_directory: Path) -> Path:
    """The socket on which a running control process answers status requests."""
    return system_daemon_directory / "run" / f"{this_program().name}.sock"


def supervisor_file(system_daemon_directory: Path) -> Path:
    """The file in which a control process under supervisord records how to reach it."""
    return system_daemon_directory / "run" / f"{this_program().name}.supervisor"


def tick_file(system_daemon_directory: Path) -> Path:
    """The file in which a control process notes the newest tick, for its successor."""
    return system_daemon_directory / "run" / f"{this_program().name}.tick"


def keys_directory(config: Config) -> Path:
    """The directory of the agent's key for encrypted mode, the same as the original agent's."""
    return config.daemon_directory / "keys" / this_program().name


def spool_file(config: Config) -> Path:
    """The file of the polls that wait for the server."""
    return config.cache_directory / f"{this_program().name}.spool.sqlite"


# The configuration directory.

OPTION: Final = "--config"
VARIABLE: Final = "PATTOO_CONFIGDIR"
DEFAULT_DIRECTORY: Final = "/etc/pattoo"


class _Process:
    """What `--config` names in this process; empty without it.

    It is not written to the environment: setproctitle finds the memory for the title by an environment that
    nobody has changed, and by its title a control process is recognised.
    """

    directory = ""


def choose_config_directory(named: str) -> None:
    """Make `--config` win over `PATTOO_CONFIGDIR`, in this process and its forks."""
    _Process.directory = named


def config_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return what `--config` or `PATTOO_CONFIGDIR` names, or /etc/pattoo without them, as an absolute path.

    Raises `ConfigError` if it is below the home directory of a user that does not exist.
    """
    named = raw_config_directory(environment)
    source = OPTION if _Process.directory else VARIABLE
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError([f"{source}: {named}: {error}; expected a directory"]) from error


def raw_config_directory(environment: Mapping[str, str] = os.environ) -> str:
    """Return the configured directory as written, before `config_directory` expands it."""
    return _Process.directory or environment.get(VARIABLE) or DEFAULT_DIRECTORY

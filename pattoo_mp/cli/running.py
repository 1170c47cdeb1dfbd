"""The agent that the configuration in force speaks of."""

from __future__ import annotations

from pattoo_mp.config import isolated
from pattoo_mp.operate.agent import Agent
from pattoo_mp.paths import config_directory


def agent() -> Agent:
    """Find it by its directories alone: a broken setting must not keep anyone from a stop."""
    directory = config_directory()
    return Agent(isolated.find(directory), directory)


def agent_to_start() -> Agent:
    """Find it by a configuration that it can start with; the directories that this names are made.

    Raises `ConfigError`.
    """
    directory = config_directory()
    return Agent(isolated.load(directory).system_daemon_directory, directory)

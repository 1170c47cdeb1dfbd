"""`--start`: the agent in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import apart
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.config.home import VARIABLE, config_directory
from pattoo_mp.control.verbs import Agent, own_command
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    import argparse


def run(_: argparse.Namespace) -> int:
    """Start it; return once polls flow."""
    directory = config_directory()
    agent = Agent(apart.load(directory).system_daemon_directory)
    # The control process runs elsewhere; it must find the configuration that was checked here.
    agent.start([*own_command(), "--foreground"], {VARIABLE: str(directory)})
    print(f"Daemon is running - {PROGRAM} (process {agent.pid})")
    return DONE

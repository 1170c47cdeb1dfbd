"""`--start`: the agent in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.statuses import DONE
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.agent import agent_to_start
from pattoo_mp.operate.lifecycle import own_command, start
from pattoo_mp.paths import VARIABLE

if TYPE_CHECKING:
    import argparse

    from pattoo_mp.operate.agent import Agent


def run(_: argparse.Namespace) -> int:
    """Start it; return once polls flow."""
    return begin(agent_to_start())


def begin(agent: Agent) -> int:
    """Start it by the configuration that it was found by; return once polls flow."""
    # The control process runs elsewhere; it must find the configuration that was checked here.
    start(agent, [*own_command(), "--foreground"], {VARIABLE: str(agent.configuration)})
    print(f"Daemon is running - {PROGRAM} (process {agent.pid})")
    return DONE

"""`--restart`: an end and a new beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import start
from pattoo_mp.cli.running import agent_to_start
from pattoo_mp.operate.stopping import stop

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Stop it and start it; one that could not start again is not stopped."""
    agent = agent_to_start()
    stop(agent, force=arguments.force)
    return start.begin(agent)

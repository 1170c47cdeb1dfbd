"""`--restart`: an end and a new beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli import start
from pattoo_mp.control.troubles import Code
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import agent_to_start
from pattoo_mp.operate.lifecycle import stop
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    import argparse

    from pattoo_mp.operate.agent import Agent


def run(arguments: argparse.Namespace) -> int:
    """Stop it and start it; one that could not start again, or would lose polls, is not stopped."""
    agent = agent_to_start()
    if not arguments.force:
        _keep_what_waits(agent)
    stop(agent, force=arguments.force)
    return start.begin(agent)


def _keep_what_waits(agent: Agent) -> None:
    """Raise `PattooError` where what waits in memory cannot be kept: a start would fail, too."""
    try:
        status = agent.status()
    except OSError:
        return  # it is stopped, or hangs: a restart is what helps
    waiting = status["polls"]["in_channel"]
    if waiting and Code.SPOOL_TAKES_NOTHING in {found["code"] for found in status["troubles"]}:
        why = status["workers"]["uploader"]["troubles"]["spool"]
        raise PattooError(
            f"the spool takes nothing ({why}): {counted(waiting, 'poll')} in memory would be lost; "
            "expected room on the disk of cache_directory, or --force"
        )

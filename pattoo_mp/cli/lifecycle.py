"""`--start`: the agent in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.cli.output import DONE, STOPPED
from pattoo_mp.cli.status import not_running, report
from pattoo_mp.control.troubles import Code
from pattoo_mp.errors import PattooError
from pattoo_mp.model import PROGRAM
from pattoo_mp.operate.agent import agent, agent_to_start
from pattoo_mp.operate.lifecycle import own_command, reload, start, stop
from pattoo_mp.paths import VARIABLE
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    import argparse

    from pattoo_mp.operate.agent import Agent


def run_start(_: argparse.Namespace) -> int:
    """Start it; return once polls flow."""
    return begin(agent_to_start())


def begin(agent: Agent) -> int:
    """Start it by the configuration that it was found by; return once polls flow."""
    # The control process runs elsewhere; it must find the configuration that was checked here.
    start(agent, [*own_command(), "--foreground"], {VARIABLE: str(agent.configuration)})
    print(f"Daemon is running - {PROGRAM} (process {agent.pid})")
    return DONE


# `--stop`: the end of an agent that runs.


def run_stop(arguments: argparse.Namespace) -> int:
    """Stop it, in order or by force."""
    asked = agent()
    if stop(asked, force=arguments.force):
        print(f"Daemon is stopped - {PROGRAM}")
    else:
        print(report(not_running(asked)))
    return DONE


# `--restart`: an end and a new beginning.


def run_restart(arguments: argparse.Namespace) -> int:
    """Stop it and start it; one that could not start again, or would lose polls, is not stopped."""
    agent = agent_to_start()
    if not arguments.force:
        _keep_what_waits(agent)
    stop(agent, force=arguments.force)
    return begin(agent)


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


# `--reload`: other settings for an agent that runs.


def run_reload(_: argparse.Namespace) -> int:
    """Have it read its configuration anew; return once it goes by that, or say why not.

    It is the agent that checks what it reads, so that its status and its log tell of it, too.
    """
    asked = agent()
    pid = asked.pid
    if pid is None:
        print(report(not_running(asked)))
        return STOPPED
    changed = reload(asked, pid)
    print(f"Daemon is reloaded - {PROGRAM} ({', '.join(changed) or 'nothing has changed'})")
    return DONE

"""`--start`, `--stop`, `--restart` and `--reload`: the agent in the background."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.output import DONE, STOPPED
from pattoo_mp.cli.status import as_text, stopped_status
from pattoo_mp.control.troubles import Code
from pattoo_mp.errors import ConfigError, PattooError, StatusError
from pattoo_mp.operate.agent import configured_agent, other_variables, startable_agent
from pattoo_mp.operate.control_process import running_controls
from pattoo_mp.operate.lifecycle import own_command, reload, start, stop
from pattoo_mp.paths import VARIABLE
from pattoo_mp.program import this_program
from pattoo_mp.util.text import counted, printable
from pattoo_mp.util.users import user_name

if TYPE_CHECKING:
    import argparse

    from pattoo_mp.operate.agent import Agent
    from pattoo_mp.operate.lifecycle import Stopped


#: How long to wait for the status before a stop (s). An agent that hangs is stopped without it.
_ASK_S: Final = 1.0


def run_start(_: argparse.Namespace) -> int:
    """`--start`: start the agent; return once polls flow."""
    return _start(startable_agent())


def run_stop(arguments: argparse.Namespace) -> int:
    """`--stop`: stop the agent, in order or by `--force`. A stopped agent is no error.

    Without `--force`, it is not stopped if polls in memory would be lost.
    """
    try:
        agent = configured_agent()
    except ConfigError as error:
        raise ConfigError([*error.problems, *_how_to_stop()]) from error
    if _stop(agent, force=arguments.force).was_running:
        print(f"Daemon is stopped - {this_program().name}")
    else:
        print(as_text(stopped_status(agent)))
    return DONE


def run_restart(arguments: argparse.Namespace) -> int:
    """`--restart`: stop the agent and start it again; return once polls flow.

    It is not stopped if its configuration would prevent the start, or as `--stop` refuses to.
    """
    agent = startable_agent()
    _stop(agent, force=arguments.force)
    return _start(agent)


def run_reload(_: argparse.Namespace) -> int:
    """`--reload`: apply the changed configuration to the running agent; return once it is applied.

    The agent itself checks the configuration, so its status and its log report the result, too.
    """
    agent = configured_agent()
    pid = agent.pid
    if pid is None:
        print(as_text(stopped_status(agent)))
        return STOPPED
    changed = reload(agent, pid)
    what = printable(", ".join(changed)) or "nothing has changed"
    print(f"Daemon is reloaded - {this_program().name} ({what})")
    _note_variables(agent)
    return DONE


def _report_left(stopped: Stopped) -> None:
    for pid in stopped.left:
        print(
            f"{this_program().name}: process {pid} is left: it hangs in the kernel and cannot be killed. It ends "
            f"when what it waits for answers: ps -L -o stat,wchan -p {pid}",
            file=sys.stderr,
        )


def _start(agent: Agent) -> int:
    """Start `agent` with the configuration that it was found by; return once polls flow."""
    # The control process runs in another directory; it must find the configuration checked here.
    start(agent, [*own_command(), "--foreground"], {VARIABLE: str(agent.configuration)})
    pid = agent.pid
    print(f"Daemon is running - {this_program().name} (process {pid})")
    with contextlib.suppress(OSError):
        owner = Path(f"/proc/{pid}").stat().st_uid
        if owner != os.geteuid():
            print(f"It runs as {user_name(owner)}, who owns its directories.")
    _note_variables(agent)
    return DONE


def _note_variables(agent: Agent) -> None:
    """Say which variables the agent does not share with us: a reload and a supervisord leave it its own."""
    from pattoo_mp.config.layers import read_variables  # noqa: PLC0415 - it loads YAML

    ours = [layer.source for layer in read_variables([]) if layer.is_set]
    for line in other_variables(agent, [str(one) for one in ours]):
        print(f"{this_program().name}: note: {printable(line)}", file=sys.stderr)


def _how_to_stop() -> list[str]:
    """How to stop an agent whose configuration does not lead to it any more."""
    return [
        f"process {pid} of {user} is the control process for {printable(file)}; if that is the agent to "
        f"stop, 'kill {pid}' stops it in order"
        for pid, user, file in running_controls()
    ]


def _stop(agent: Agent, *, force: bool) -> Stopped:
    """Stop `agent`, and say which polls in memory that loses, and which processes are left.

    Raises `PattooError`, before anything is stopped, if it would lose polls without `force`.
    """
    at_risk, why = _polls_at_risk(agent)
    if at_risk and not force:
        raise PattooError(
            f"the spool cannot store polls ({why}): {counted(at_risk, 'poll')} in memory would be "
            "lost; expected room on the disk of cache_directory, or --force"
        )
    stopped = stop(agent, force=force)
    if at_risk and stopped.was_running:
        print(f"Lost from memory: {counted(at_risk, 'poll')} ({printable(why)})", file=sys.stderr)
    _report_left(stopped)
    return stopped


def _polls_at_risk(agent: Agent) -> tuple[int, str]:
    """How many polls are in memory that the spool cannot store, and why it cannot."""
    try:
        status = agent.status(_ASK_S)
    except (OSError, StatusError):
        return 0, ""  # it is stopped, hangs, or is of another release, and only a stop cures that
    if Code.SPOOL_TAKES_NOTHING not in {found["code"] for found in status["troubles"]}:
        return 0, ""
    why = status["workers"]["uploader"]["troubles"].get("spool", "for an unknown reason")
    return status["polls"]["in_channel"], why

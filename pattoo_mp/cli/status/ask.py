"""Asking for the status, whatever there is to ask; and what it is worth as an exit status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.statuses import DONE, FAILED, STOPPED
from pattoo_mp.control.status import SCHEMA, silent, stopped
from pattoo_mp.errors import PattooError
from pattoo_mp.util.files import not_ours

if TYPE_CHECKING:
    from pattoo_mp.operate.agent import Agent

#: Control holds its lock a little longer than it listens, before and after.
_MOMENT_S: Final = 1.0
_LOOK_S: Final = 0.02


def ask(agent: Agent) -> dict[str, Any]:
    """The status of an agent that runs, is silent, or is stopped.

    Raises `PattooError` if we may not ask, or if the answer is another release's.
    """
    until = time.monotonic() + _MOMENT_S
    pid = agent.pid
    while pid is not None:
        try:
            return _understood(agent.status(), pid)
        except PermissionError as error:
            raise PattooError(
                f"process {pid}: we may not ask it{not_ours(pid)}; expected its user or root"
            ) from error
        except OSError:
            # After a time-out this was the only attempt; else it may be about to begin, or to end.
            if time.monotonic() >= until:
                return silent(pid)
        time.sleep(_LOOK_S)
        pid = agent.pid
    return not_running(agent)


def not_running(agent: Agent) -> dict[str, Any]:
    """The status of an agent that is known not to run."""
    return stopped(agent.pid_file, agent.configuration, agent.cut_short)


def exit_status(status: dict[str, Any]) -> int:
    """What a monitoring system wants to know."""
    if status["state"] == "stopped":
        return STOPPED
    return FAILED if status["troubles"] else DONE


def _understood(status: dict[str, Any], pid: int) -> dict[str, Any]:
    if status.get("schema") != SCHEMA:
        raise PattooError(
            f"process {pid}: answers with schema {status.get('schema')}; expected {SCHEMA}, "
            "which --restart brings"
        )
    return status

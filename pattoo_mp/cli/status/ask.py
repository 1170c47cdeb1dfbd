"""Asking for the status, whatever there is to ask; and what it is worth as an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pattoo_mp.cli.statuses import DONE, FAILED, STOPPED
from pattoo_mp.control.status import SCHEMA, silent, stopped
from pattoo_mp.errors import PattooError

if TYPE_CHECKING:
    from pattoo_mp.control.verbs import Agent


def ask(agent: Agent) -> dict[str, Any]:
    """The status of an agent that runs, is silent, or is stopped.

    Raises `PattooError` if we may not ask, or if the answer is another release's.
    """
    pid = agent.pid
    if pid is None:
        return stopped()
    try:
        status = agent.status()
    except PermissionError as error:
        raise PattooError(f"process {pid}: we may not ask it; expected its user or root") from error
    except OSError:
        # It may have ended while we asked.
        return stopped() if agent.pid is None else silent(pid)
    if status.get("schema") != SCHEMA:
        raise PattooError(
            f"process {pid}: answers with schema {status.get('schema')}; expected {SCHEMA}, "
            "which --restart brings"
        )
    return status


def exit_status(status: dict[str, Any]) -> int:
    """What a monitoring system wants to know."""
    if status["state"] == "stopped":
        return STOPPED
    return FAILED if status["troubles"] else DONE

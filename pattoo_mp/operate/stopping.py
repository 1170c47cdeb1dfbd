"""Stops the agent: in order, or by force."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.control.run_directory import forgive
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.signalling import send
from pattoo_mp.operate.waiting import STOPPED_S, wait_for

if TYPE_CHECKING:
    from pattoo_mp.operate.agent import Agent

_KILL_S: Final = 5.0


def stop(agent: Agent, *, force: bool) -> bool:
    """Stop `agent`, if it runs: in order, or by SIGKILL of its process group.

    Where a supervisord runs it, or tries to beside one that was started by hand, that is asked to. Returns whether it ran. Raises `PattooError` if it
    does not end in time.
    """
    pid = agent.pid
    supervisor = agent.supervisor(pid)
    if supervisor is not None and supervisor.may_run:
        if not force:
            supervisor.stop()
            return pid is not None
        supervisor.begin_stop()
    if pid is None:
        return False
    if supervisor is None:
        _end_tries(agent)
    # What is stopped would not hear.
    asked = signal.SIGKILL if force else signal.SIGTERM
    send(pid, asked, signal.SIGCONT, to_group=True)
    limit_s = _KILL_S if force else STOPPED_S
    if not wait_for(lambda: agent.pid != pid and not _group_lives(pid), limit_s):
        raise PattooError(
            f"the agent (process {pid}) did not end within {limit_s:g} s"
            + ("" if force else "; --force kills it")
        )
    if force:
        forgive(agent.directory)
    return True


def _end_tries(agent: Agent) -> None:
    """A supervisord that tries in vain to start an agent that was started by hand could, after this."""
    beside = agent.supervisor(None)
    if beside is not None and beside.may_run:
        beside.stop()


def _group_lives(group: int) -> bool:
    """Whether a process of the group runs; one that only waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_runs_in(group, entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _runs_in(group: int, process: Path) -> bool:
    """Read /proc/PID/stat (proc(5)): after the name in parentheses state, parent, group."""
    try:
        state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in "ZX"

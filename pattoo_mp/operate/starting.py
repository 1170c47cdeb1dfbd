"""Starts the agent in the background, and waits until polls flow."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import AlreadyRunningError, StartError
from pattoo_mp.ipc.messages import READY
from pattoo_mp.operate.environment import without_managers
from pattoo_mp.operate.waiting import STOPPED_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.operate.agent import Agent

#: From the start to the first poll in the spool: ten seconds to a tick, and a slow name server.
_START_S: Final = 30.0


def own_command() -> list[str]:
    """The command line that runs this same program again."""
    return [sys.executable, os.path.abspath(sys.argv[0])]  # noqa: PTH100 - keeps a symlink's name


def start(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Start `command` as the control process of `agent`, and wait until polls flow.

    `environment` is added to our own. Where a supervisord runs the agent, that is asked to.
    Raises `AlreadyRunningError`, or `StartError` with the reason.
    """
    pid = agent.pid
    if pid is not None:
        raise AlreadyRunningError(f"the agent runs already, as process {pid}")
    supervisor = agent.supervisor(None)
    if supervisor is None:
        _detach(agent, command, environment)
        return
    if supervisor.may_run:
        supervisor.stop()  # it waits before its next try; ours is now
    supervisor.start()
    if not wait_for(lambda: _polls_flow(agent), _START_S):
        raise StartError(_no_poll(agent))


def _polls_flow(agent: Agent) -> bool:
    try:
        polls = agent.status()["polls"]
    except OSError:
        return False
    return bool(polls["since_start"] > polls["in_channel"])


def _no_poll(agent: Agent) -> str:
    """That none was kept in time, and what the workers complain of."""
    try:
        workers = agent.status()["workers"]
    except OSError:
        workers = {}
    reasons = [
        f"{name}: {reason}"
        for name, worker in workers.items()
        for reason in (worker["last_death"], *worker["troubles"].values())
        if reason
    ]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"no poll was kept within {_START_S:g} s{why}"


def _detach(agent: Agent, command: list[str], environment: Mapping[str, str]) -> None:
    """Run `command` in a session of its own; return once it writes READY to its descriptor."""
    told, tell = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--ready-fd", str(tell)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**without_managers(os.environ), **environment},
        pass_fds=[tell],
        start_new_session=True,
    ) as process:
        os.close(tell)
        answer = _read(told, _START_S)
        os.close(told)
        if answer == READY:
            process.returncode = 0  # it goes on without us; do not wait for it
            return
        reason = _no_poll(agent) if answer is None else ""
        process.terminate()
        try:
            _, complaint = process.communicate(timeout=STOPPED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            complaint = b""
    raise StartError(reason or _last_words(complaint))


def _read(descriptor: int, seconds: float) -> bytes | None:
    """What comes on a pipe until its end; None if nothing has come in time."""
    readable, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, len(READY)) if readable else None


def _last_words(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rpartition(": error: ")[2] if lines else "it ended without a word"

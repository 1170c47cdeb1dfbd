"""Named pipes in the places of the agent's files: no command waits for somebody who writes to one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.agent import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

#: More than any of these commands takes, and less than the time limit of a start (s).
_BOUNDED_S: Final = 25
PLACES: Final = {
    "supervisor": f"daemon/run/{NAME}.supervisor",
    "socket": f"daemon/run/{NAME}.sock",
    "PID file": f"daemon/pid/{NAME}.pid",
    "identity": f"daemon/agent_id/{NAME}.agent_id",
    "host name": f"daemon/agent_id/{NAME}.hostname",
    "log": "log/pattoo.log",
    "spool": f"cache/{NAME}.spool.sqlite",
    "lock": f"cache/{NAME}.spool.sqlite.lock",
    "account": f"cache/{NAME}.spool.sqlite.account",
}
#: The line that a start is refused with. With the others in the way, the agent runs.
REFUSED: Final = {
    "PID file": "not a regular file; expected a writable PID file",
    "identity": "cannot be used (is not a regular file); expected a file with 64 hexadecimal digits",
    "log": "log/pattoo.log: No such device or address; expected a file that the agent can use",
    "spool": "is not a regular file; expected a spool of this agent",
}


@pytest.mark.parametrize("place", PLACES)
def test_no_command_waits_for_a_named_pipe(
    make_agent: MakeAgent, server: PattooServer, place: str
) -> None:
    """A start works, or is refused in one line; the others do what they do without an agent."""
    agent = make_agent(port=server.port)
    path = agent.home / PLACES[place]
    path.parent.mkdir(mode=0o700, parents=True)
    os.mkfifo(path)
    for words in (("--stop",), ("--status",), ("--reload",), ("--check",), ("--doctor",)):
        done = agent.run(*words, timeout=_BOUNDED_S)
        assert "Traceback" not in done.stderr
    started = agent.run("--start", timeout=_BOUNDED_S)
    if place in REFUSED:
        (line,) = started.stderr.splitlines()
        assert line.endswith(REFUSED[place])
        return
    assert started.returncode == 0, started.stderr + agent.log
    assert agent.run("--status", timeout=_BOUNDED_S).stdout.startswith("Daemon is running")
    assert agent.run("--stop", timeout=_BOUNDED_S).returncode == 0

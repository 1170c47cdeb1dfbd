"""Asking an agent, whatever it is up to."""

from __future__ import annotations

import json
import os
import select
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp import paths
from pattoo_mp.cli.status import ask, exit_status
from pattoo_mp.control.run_directory import PidLock
from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import Agent
from tests.support.statuses import server_gone, status
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def control(home: Path, answer: Callable[[StatusSocket], None]) -> Iterator[Agent]:
    """An agent whose control process does nothing but to hold its lock and to answer so."""
    pid = os.fork()
    if pid == 0:
        try:
            lock = PidLock(paths.pid_file(home))
            door = StatusSocket(paths.status_socket(home))
            while lock:
                select.select([door], [], [])
                answer(door)
        finally:
            os._exit(0)
    agent = Agent(home)
    try:
        wait_for(lambda: agent.pid and paths.status_socket(home).exists(), what="control")
        yield agent
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def saying(said: dict[str, Any]) -> Callable[[StatusSocket], None]:
    """Answer with this."""
    return lambda door: door.answer(said)


def test_an_agent_that_answers_is_told_as_it_says(home: Path) -> None:
    """Nothing is added, and nothing is left out."""
    said = server_gone()
    with control(home, saying(said)) as agent:
        assert ask(agent) == json.loads(json.dumps(said))


def test_an_agent_that_hangs_up_is_silent(home: Path) -> None:
    """Its process is there, and there is no answer of it."""
    with control(home, lambda door: door._socket.accept()[0].close()) as agent:
        assert ask(agent) == {
            "schema": 1, "state": "silent", "control": {"pid": agent.pid},
            "troubles": [{"code": "control_silent", "subject": "", "since_ms": 0}],
        }  # fmt: skip


def test_an_agent_that_ends_as_it_is_asked_is_stopped(home: Path) -> None:
    """And not silent."""
    with control(home, lambda _: os._exit(0)) as agent:
        assert ask(agent)["state"] == "stopped"


def test_of_a_stopped_agent_it_is_told_where_it_was_looked_for(home: Path) -> None:
    """There may be another one, which other files speak of."""
    assert ask(Agent(home, home / "etc")) == {
        "schema": 1, "state": "stopped", "troubles": [],
        "pid_file": str(paths.pid_file(home)), "configuration": str(home / "etc"),
        "cut_short_pid": 0,
    }  # fmt: skip


def test_an_agent_of_another_release_is_an_error_that_says_so(home: Path) -> None:
    """Files were replaced under a running agent."""
    with (
        control(home, saying({**status(), "schema": 2})) as agent,
        pytest.raises(PattooError, match=r"schema 2; expected 1, which --restart brings"),
    ):
        ask(agent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_ask_is_told_so(home: Path) -> None:
    """Another user sees that it runs, and must not take it for one that hangs."""

    def complaint() -> str:
        with pytest.raises(PattooError) as caught:
            ask(Agent(home))
        return str(caught.value)

    with control(home, saying(status())) as agent:
        pid_file = paths.pid_file(home)
        for path in (home, pid_file.parent, pid_file):
            path.chmod(0o755)
        assert as_nobody(complaint) == (
            f"process {agent.pid}: we may not ask it, as nobody: root runs it; expected its "
            "user or root"
        )


@pytest.mark.parametrize(
    ("said", "expected"),
    [(status(), 0), (server_gone(), 1), ({"state": "stopped", "troubles": []}, 3)],
)
def test_the_exit_status_tells_whether_it_is_well(said: dict[str, Any], expected: int) -> None:
    """0 well, 1 in trouble, 3 stopped."""
    assert exit_status(said) == expected

"""A hanging control process under a real supervisord with the shipped listener."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.agent import NAME, ROOT
from tests.support.hanging import file_hangs
from tests.support.supervised import CONFIGURATION, Supervised
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer


@pytest.fixture
def agent(home: Path, server: PattooServer) -> Iterator[Supervised]:
    """An agent whose listener checks every five seconds instead of every minute."""
    program = CONFIGURATION.with_name(f"{NAME}.conf").read_text()
    assert "events=TICK_60\n" in program
    program = program.replace("%(here)s", str(CONFIGURATION.parent))  # the script stays where it is
    (home / f"{NAME}.conf").write_text(program.replace("events=TICK_60\n", "events=TICK_5\n"))
    (home / CONFIGURATION.name).write_text(CONFIGURATION.read_text())
    made = Supervised(
        home, port=server.port, supervisor=home / CONFIGURATION.name,
        environment={"PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    with made.supervised() as agent:
        yield agent


def test_a_stopped_control_is_restarted_and_loses_no_poll(
    agent: Supervised, server: PattooServer
) -> None:
    """After a SIGSTOP the listener restarts the agent, polls arrive, and the ledger balances."""
    old = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
    wait_for(server.timestamps, what="a post")
    os.kill(old[0], signal.SIGSTOP)
    wait_for(lambda: agent.pid not in {None, old[0]}, 40, what="another control process")
    assert not set(old) & set(agent.processes())
    # Polls taken while control was stopped arrive too: control received SIGTERM and kept them.
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["delivered"] >= polled, what="all polls")
    polls = agent.status()["polls"]
    assert polls["unaccounted"] == 0
    assert polls["dropped"] == {}
    wait_for(lambda: agent.state() == "RUNNING", what="supervisord's word for it")
    wait_for(lambda: "was restarted as process" in agent.ctl("tail", "pattoo_heartbeat", "stderr"))
    said = agent.ctl("tail", "pattoo_heartbeat", "stderr")
    assert f"{NAME} (process {old[0]}) hangs: no answer within" in said
    assert f"{NAME} was restarted as process {agent.pid}." in said


def test_a_listener_whose_files_hang_reports_it_and_tries_again(
    make_agent: Callable[..., Agent],
) -> None:
    """It acknowledges each tick, and checks the agent again once the files can be read."""
    agent = make_agent(environment={"SUPERVISOR_ENABLED": "1"})
    with file_hangs(agent.configuration / "pattoo.yaml") as release, subprocess.Popen(
        [*agent.command, "--event-listener"], env=agent.env(), text=True, bufsize=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as listener:  # fmt: skip
        assert listener.stdin
        assert listener.stdout
        assert listener.stderr
        listener.stdin.write("eventname:TICK_5 len:0\n")
        assert "no answer within 5 s" in listener.stderr.readline()
        assert psutil.Process(listener.pid).children() == []
        release()
        agent.start()
        os.kill(agent.pid or 0, signal.SIGSTOP)
        listener.stdin.write("eventname:TICK_5 len:0\n")
        assert "SUPERVISOR_SERVER_URL is not set" in listener.stderr.readline()
        listener.stdin.close()
        assert listener.stdout.read() == "READY\nRESULT 2\nOK" * 2 + "READY\n"

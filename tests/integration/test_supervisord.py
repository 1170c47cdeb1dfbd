"""The agent under a real supervisord, with the shipped configuration."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import NAME, Agent
from tests.support.supervised import Supervised
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import PattooServer


@pytest.fixture
def agent(home: Path, server: PattooServer) -> Iterator[Supervised]:
    """An agent under supervisord, polling at 10 Hz."""
    made = Supervised(home, port=server.port, environment={"PATH": os.environ["PATH"]})
    with made.supervised() as agent:
        yield agent


def running(agent: Supervised) -> Callable[[], bool]:
    """Return a condition: supervisord and the lock agree that the agent runs."""
    return lambda: agent.state() == "RUNNING" and agent.pid is not None


def test_supervisorctl_controls_the_agent(agent: Supervised, server: PattooServer) -> None:
    """Its status, stop, start and restart work."""
    wait_for(server.timestamps, what="a post")
    first = agent.pid
    agent.ctl("stop", NAME)
    assert agent.state() == "STOPPED"
    assert agent.pid is None
    assert agent.cut_short_pid == 0
    agent.ctl("start", NAME)
    wait_for(running(agent))
    assert agent.pid != first
    second = agent.pid
    agent.ctl("restart", NAME)
    wait_for(running(agent))
    assert agent.pid != second


def test_supervisord_restarts_a_killed_control_process(
    agent: Supervised, server: PattooServer
) -> None:
    """No worker of the old one is left, and polls arrive again."""
    old = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
    os.kill(old[0], signal.SIGKILL)
    wait_for(lambda: agent.pid not in {None, old[0]}, what="another control process")
    wait_for(lambda: not set(old) & set(agent.processes()), what="the end of the old workers")
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls")
    assert agent.run("--status").returncode == 0
    assert f"The last run (process {old[0]}) did not exit cleanly" in agent.log


def test_stop_goes_through_supervisord(agent: Supervised) -> None:
    """So supervisord does not start the agent again. --start goes through it, too."""
    done = agent.run("--stop")
    assert done.returncode == 0, done.stderr
    assert agent.state() == "STOPPED"
    assert agent.run("--status").returncode == 3
    done = agent.run("--start")
    assert done.returncode == 0, done.stderr
    assert agent.state() == "RUNNING"
    assert f"pid {agent.pid}," in agent.ctl("status", NAME)


@pytest.mark.parametrize("words", [("--stop",), ("--stop", "--force"), ("--restart",)])
def test_an_agent_started_by_hand_before_supervisord_is_stopped_for_good(
    agent: Supervised, words: tuple[str, ...]
) -> None:
    """--doctor names the supervisord that tries to start another one; a stop ends its attempts."""
    agent.stop()
    by_hand = Agent(agent.home, port=agent.port)  # the same files, without a record of supervisord
    (agent.home / "daemon" / "run" / f"{NAME}.supervisor").unlink()
    by_hand.start()
    pid = by_hand.pid
    agent.ctl("start", NAME)  # it returns when the first attempt has failed
    wait_for((agent.home / "daemon" / "run" / f"{NAME}.supervisor").exists, what="the note")
    assert "cannot start the agent while that process runs" in agent.run("--doctor").stdout
    assert agent.pid == pid
    done = agent.run(*words)
    assert done.returncode == 0, done.stderr
    if words == ("--restart",):
        wait_for(running(agent), what="the agent under supervisord")
        assert agent.pid != pid
    else:
        assert (agent.state(), agent.pid) == ("STOPPED", None)


def test_a_forced_stop_stays_stopped(agent: Supervised) -> None:
    """--stop --force kills at once, even a hanging agent, and supervisord does not start it again."""
    old = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    done = agent.run("--stop", "--force")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: agent.state() == "STOPPED", what="supervisord's word for it")
    assert agent.pid is None
    assert agent.cut_short_pid == 0
    assert not set(old) & set(agent.processes())


def test_restart_goes_through_supervisord(agent: Supervised) -> None:
    """--restart, with or without --force, leads to a new control process of supervisord's."""
    for words in (("--restart",), ("--restart", "--force")):
        before = agent.pid
        done = agent.run(*words)
        assert done.returncode == 0, done.stderr
        assert agent.pid not in {None, before}
        assert f"pid {agent.pid}," in agent.ctl("status", NAME)


def test_a_bad_configuration_ends_in_fatal_with_the_reason(agent: Supervised) -> None:
    """The log has the reason. Once it is corrected, --start works at once."""
    agent.run("--stop")
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: never\n")
    agent.ctl("start", NAME)
    # Between attempts the state is STARTING.
    wait_for(lambda: agent.state() in {"BACKOFF", "FATAL"}, what="supervisord's word for it")
    assert "polling_interval: 'never'; expected a time such as 300 ms" in agent.ctl("tail", NAME)
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.1\n")
    done = agent.run("--start")
    # supervisord may have tried again just before, with the corrected file.
    assert (done.returncode, done.stderr) == (0, "") or "the agent runs already" in done.stderr
    wait_for(lambda: agent.state() == "RUNNING", what="supervisord's word for it")


def test_supervisorctl_signal_hup_reloads_the_agent(agent: Supervised) -> None:
    """The same processes apply the new settings."""
    pid = agent.pid
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.2\n")
    agent.ctl("signal", "HUP", NAME)
    wait_for(lambda: agent.status()["interval_ms"] == 200, what="the new interval")
    assert (agent.state(), agent.pid) == ("RUNNING", pid)


def test_supervisords_log_has_each_line_of_the_agent_once(agent: Supervised) -> None:
    """It receives them from stderr."""
    wait_for(lambda: "A poll has" in agent.log, what="a line of the collector")
    agent.ctl("stop", NAME)
    kept = agent.ctl("tail", "-1000000", NAME).split("\n")
    assert sorted(filter(None, kept)) == sorted(agent.log.splitlines())

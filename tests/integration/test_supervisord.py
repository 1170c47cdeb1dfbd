"""The agent under a real supervisord, with the configuration that the project ships."""

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
    """Whether supervisord and the lock agree that the agent runs."""
    return lambda: agent.state() == "RUNNING" and agent.pid is not None


def test_supervisorctl_runs_the_agent(agent: Supervised, server: PattooServer) -> None:
    """status, stop, start and restart of supervisorctl do what they say."""
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


def test_supervisord_brings_control_back_after_a_sigkill(
    agent: Supervised, server: PattooServer
) -> None:
    """SIGKILL of control: it is back, no worker of the old one is left, and polls arrive again."""
    old = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
    os.kill(old[0], signal.SIGKILL)
    wait_for(lambda: agent.pid not in {None, old[0]}, what="another control process")
    wait_for(lambda: not set(old) & set(agent.processes()), what="the end of the old workers")
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls")
    assert agent.run("--status").returncode == 0
    assert f"The last run (process {old[0]}) did not end in order" in agent.log


def test_stop_by_the_command_line_stays_stopped(agent: Supervised) -> None:
    """--stop goes through supervisord, which does not start the agent again; --start likewise."""
    done = agent.run("--stop")
    assert done.returncode == 0, done.stderr
    assert agent.state() == "STOPPED"
    assert agent.run("--status").returncode == 3
    done = agent.run("--start")
    assert done.returncode == 0, done.stderr
    assert agent.state() == "RUNNING"
    assert f"pid {agent.pid}," in agent.ctl("status", NAME)


@pytest.mark.parametrize("words", [("--stop",), ("--stop", "--force"), ("--restart",)])
def test_what_was_started_by_hand_before_it_is_stopped_for_good(
    agent: Supervised, words: tuple[str, ...]
) -> None:
    """Supervisord tries to start it beside; --doctor names that, and a stop ends its tries."""
    agent.stop()
    by_hand = Agent(agent.home, port=agent.port)  # the same files, and no supervisord noted
    (agent.home / "daemon" / "run" / f"{NAME}.supervisor").unlink()
    by_hand.start()
    pid = by_hand.pid
    agent.ctl("start", NAME)  # it returns once the first try has failed
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
    """--stop --force kills at once, also a hung agent, and supervisord leaves it at that."""
    old = [agent.pid or 0, agent.worker("collector"), agent.worker("uploader")]
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    done = agent.run("--stop", "--force")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: agent.state() == "STOPPED", what="supervisord's word for it")
    assert agent.pid is None
    assert agent.cut_short_pid == 0
    assert not set(old) & set(agent.processes())


def test_restart_by_the_command_line_stays_supervised(agent: Supervised) -> None:
    """--restart, forced or not, gives another control process that supervisord calls its own."""
    for words in (("--restart",), ("--restart", "--force")):
        before = agent.pid
        done = agent.run(*words)
        assert done.returncode == 0, done.stderr
        assert agent.pid not in {None, before}
        assert f"pid {agent.pid}," in agent.ctl("status", NAME)


def test_a_bad_configuration_is_fatal_and_named(agent: Supervised) -> None:
    """The log has the line that says why; once it is mended, --start works at once."""
    agent.run("--stop")
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: never\n")
    agent.ctl("start", NAME)
    # In between it is STARTING: it is tried again and again.
    wait_for(lambda: agent.state() in {"BACKOFF", "FATAL"}, what="supervisord's word for it")
    assert "polling_interval: 'never'; expected a number of seconds" in agent.ctl("tail", NAME)
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.1\n")
    done = agent.run("--start")
    assert (done.returncode, done.stderr) == (0, "")
    assert agent.state() == "RUNNING"


def test_supervisorctl_signal_hup_reloads_it(agent: Supervised) -> None:
    """The same processes go on, by the new settings."""
    pid = agent.pid
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.2\n")
    agent.ctl("signal", "HUP", NAME)
    wait_for(lambda: agent.status()["interval_ms"] == 200, what="the new interval")
    assert (agent.state(), agent.pid) == ("RUNNING", pid)


def test_supervisord_keeps_what_the_agent_says_once(agent: Supervised) -> None:
    """Each line of the log is in supervisord's, by way of stderr, and none is there twice."""
    wait_for(lambda: "A poll has" in agent.log, what="a line of the collector")
    agent.ctl("stop", NAME)
    kept = agent.ctl("tail", "-1000000", NAME).split("\n")
    assert sorted(filter(None, kept)) == sorted(agent.log.splitlines())

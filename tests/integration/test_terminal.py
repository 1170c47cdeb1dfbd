"""`--foreground` in a real terminal (a pty): it ends with Ctrl-C, and with the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from contextlib import contextmanager, suppress
from shlex import join
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]


class Terminal:
    """A terminal, and the shell that leads its session."""

    def __init__(self, agent: Agent, script: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shell = subprocess.Popen(
            ["sh", "-c", script],
            env=agent.env(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        )  # fmt: skip
        os.close(theirs)

    def type(self, keys: bytes) -> None:
        """Type."""
        os.write(self._ours, keys)

    def close(self) -> None:
        """Close the window, as a lost ssh connection does."""
        with suppress(OSError):
            os.close(self._ours)
        self._ours = -1


@contextmanager
def in_terminal(agent: Agent, script: str) -> Iterator[Terminal]:
    """Run `script` with AGENT replaced by the agent's command; wait until the agent answers."""
    terminal = Terminal(agent, script.replace("AGENT", join([*agent.command, "--foreground"])))
    try:
        wait_for(lambda: agent.pid, what="the lock")
        agent.worker("uploader")
        yield terminal
    finally:
        terminal.close()
        with suppress(ProcessLookupError):
            os.killpg(terminal.shell.pid, signal.SIGKILL)
        terminal.shell.wait(30)
        agent.end()


@pytest.mark.parametrize("script", ["exec AGENT", "AGENT; true", "sh -c 'AGENT; true'; true"])
def test_ctrl_c_ends_the_agent_in_order(make_agent: MakeAgent, script: str) -> None:
    """Also below shells that stay: it does not leave the group that the terminal signals."""
    agent = make_agent()
    with in_terminal(agent, script) as terminal:
        terminal.type(b"\x03")
        wait_for(lambda: not agent.processes(), what="the end")
        assert "Stopping: SIGINT." in agent.log
        assert agent.cut_short_pid == 0


@pytest.mark.parametrize("script", ["exec AGENT", "AGENT; true", "AGENT & wait"])
def test_the_agent_ends_with_its_terminal(make_agent: MakeAgent, script: str) -> None:
    """In order, with its polls in the spool; it does not take SIGHUP for a reload then."""
    agent = make_agent()
    with in_terminal(agent, script) as terminal:
        terminal.close()
        wait_for(lambda: agent.pid is None, what="the end")
        assert "Stopping: the terminal that it was started in is gone." in agent.log
        assert agent.cut_short_pid == 0


def test_the_agent_ends_with_a_terminal_that_sends_no_signal(make_agent: MakeAgent) -> None:
    """Its shell was killed, and the agent was in the background."""
    agent = make_agent()
    with in_terminal(agent, "set -m; AGENT & wait") as terminal:
        terminal.shell.kill()
        wait_for(lambda: agent.pid is None, what="the end")
        assert "Stopping: the terminal that it was started in is gone." in agent.log


@pytest.mark.parametrize("script", ["setsid AGENT; true", "set -m; AGENT & wait"])
def test_the_agent_ends_soon_with_a_terminal_that_sends_no_signal(
    make_agent: MakeAgent, script: str
) -> None:
    """Also if nothing else is due for minutes, and without a controlling terminal (runuser -c)."""
    agent = make_agent(interval=300)
    with in_terminal(agent, script) as terminal:
        terminal.shell.kill()
        terminal.close()
        wait_for(lambda: agent.pid is None, what="the end")
        assert "Stopping: the terminal that it was started in is gone." in agent.log


def test_sighup_reloads_while_the_terminal_is_there(make_agent: MakeAgent) -> None:
    """As everywhere else."""
    agent = make_agent()
    with in_terminal(agent, "AGENT; true"):
        pid = agent.pid
        agent.set_own("polling_interval", "0.2")
        os.kill(pid or 0, signal.SIGHUP)
        wait_for(lambda: agent.status()["interval_ms"] == 200, what="the new interval")
        assert agent.pid == pid


def test_nohup_keeps_it_running(make_agent: MakeAgent) -> None:
    """A person asked for it. --stop ends it."""
    agent = make_agent()
    # In the home of the test, because nohup writes nohup.out.
    with in_terminal(agent, f"cd {agent.home}; nohup AGENT & wait") as terminal:
        pid = agent.pid
        terminal.close()
        terminal.shell.wait(30)
        before = agent.status()["polls"]["polled"]
        wait_for(lambda: agent.status()["polls"]["polled"] > before + 60, what="six seconds")
        assert agent.pid == pid
        agent.stop()


def test_a_forced_stop_kills_the_workers_but_not_the_terminals_group(make_agent: MakeAgent) -> None:
    """The agent shares its group with the shell; even workers that are stopped are killed."""
    agent = make_agent()
    with in_terminal(agent, "AGENT; sleep 1000") as terminal:
        assert os.getpgid(agent.pid or 0) == terminal.shell.pid
        for worker in ("collector", "uploader"):
            agent.signal(worker, "SIGSTOP")
        processes = [agent.pid, agent.worker("collector"), agent.worker("uploader")]
        done = agent.run("--stop", "--force")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: not set(processes) & set(agent.processes()), what="the end of all")
        assert terminal.shell.poll() is None

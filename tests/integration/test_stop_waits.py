"""A stop returns only once no process of the agent is left: the next start needs the spool."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.spool.file import lock_holder, lock_path
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.agent import Agent

    MakeAgent = Callable[..., Agent]

#: Ends on SIGTERM only once the file exists, as a worker whose last commit takes long.
LATE = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


@contextmanager
def late_member(group: int, may_end: Path) -> Iterator[None]:
    """Run another process of the group, which ends late, during the block."""
    command = [sys.executable, "-c", LATE, str(may_end)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, process_group=group
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def test_a_stop_returns_only_once_the_whole_group_has_ended(make_agent: MakeAgent) -> None:
    """Control ends first, and another process of its group much later."""
    agent = make_agent()
    may_end = agent.home / "may-end"
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "process_group": 0}
    with agent.foreground(**quiet) as control:
        wait_for(lambda: agent.pid == control.pid, what="its lock")
        wait_for(lambda: agent.status()["polls"]["in_spool"], what="polls")
        with (
            late_member(control.pid, may_end),
            subprocess.Popen([*agent.command, "--stop"], env=agent.env()) as stop,
        ):
            assert control.wait(30) == 0
            wait_for(lambda: agent.pid is None, what="the end of control")
            with pytest.raises(subprocess.TimeoutExpired):
                stop.wait(1)
            may_end.touch()
            assert stop.wait(30) == 0
    assert lock_holder(lock_path(agent.spool)) is None


def test_the_spool_is_free_once_a_stop_has_returned(make_agent: MakeAgent) -> None:
    """Its uploader was stopped by SIGSTOP, so it ends last. Nothing is left for the next start to wait for."""
    agent = make_agent()
    for _ in range(3):
        agent.start()
        agent.signal("uploader", "SIGSTOP")
        agent.stop()
        assert lock_holder(lock_path(agent.spool)) is None
        assert agent.processes() == []


def test_a_forced_stop_leaves_no_mark_of_a_crash(make_agent: MakeAgent) -> None:
    """It was asked for: the next status says only that the agent is stopped, and its socket is gone."""
    agent = make_agent()
    agent.start()
    assert agent.run("--stop", "--force").returncode == 0
    wait_for(lambda: not agent.processes(), what="the end of all processes")
    assert list((agent.home / "daemon" / "run").glob("*.sock")) == []
    done = agent.run("--status")
    assert (done.returncode, done.stdout) == (3, agent.stopped)


def test_a_forced_stop_kills_workers_of_another_group(make_agent: MakeAgent) -> None:
    """Control was started without a group of its own. Its uploader would take seconds for a locked spool."""
    agent = make_agent()
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with agent.foreground(**quiet) as control:
        wait_for(lambda: agent.pid == control.pid, what="its lock")
        wait_for(lambda: agent.status()["polls"]["in_spool"], what="polls")
        with closing(sqlite3.connect(agent.spool, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            wait_for(lambda: agent.status()["workers"]["uploader"]["troubles"], what="a trouble")
            assert agent.run("--stop", "--force").returncode == 0
            assert control.wait(30) == -signal.SIGKILL
            wait_for(lambda: not agent.processes(), what="the end of all processes")
            other.execute("ROLLBACK")
    # A worker that was not killed says so when it has noticed the end of control.
    assert "stores what it has" not in agent.log

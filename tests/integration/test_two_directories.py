"""An agent whose PID file and socket are in another directory than its identity: `/run` and `/var/lib`."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.run_directory import running_pid
from tests.support.agent import NAME
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


@pytest.fixture
def divided(make_agent: MakeAgent, server: PattooServer) -> Agent:
    """An agent with a directory of its own for each purpose."""
    agent = make_agent(port=server.port)
    agent.set_shared("system_daemon_directory", f"{agent.home}/run")
    return agent


def pid_of(agent: Agent) -> int | None:
    """The control process by the PID file in the directory for it."""
    return running_pid(agent.home / "run" / "pid" / f"{NAME}.pid")


def test_each_file_is_in_the_directory_for_it(divided: Agent, server: PattooServer) -> None:
    """And nowhere else: /run is emptied at a boot, the identity must stay."""
    divided.start()
    try:
        wait_for(server.timestamps, what="a post")
        made = {
            str(path.relative_to(divided.home)): path.stat().st_size
            for path in divided.home.rglob("*")
            if not path.is_dir()
        }
        assert f"run/pid/{NAME}.pid" in made
        assert f"run/run/{NAME}.sock" in made
        assert f"daemon/agent_id/{NAME}.agent_id" in made
        assert "log/pattoo.log" in made
        assert f"cache/{NAME}.spool.sqlite" in made
        beside = [name for name in made if name.startswith("daemon/") and "agent_id" not in name]
        assert beside == []
        assert [name for name in made if name.startswith("run/") and "agent_id" in name] == []
    finally:
        divided.run("--stop")


def test_every_verb_finds_the_agent(divided: Agent, server: PattooServer) -> None:
    """By the one directory, whatever is in the other."""
    assert divided.run("--status").returncode == 3
    assert divided.run("--check").returncode == 0
    assert divided.run("--start").returncode == 0
    first = pid_of(divided)
    assert first is not None
    status = json.loads(divided.run("--status", "--json").stdout)
    assert (status["state"], status["control"]["pid"]) == ("running", first)
    assert divided.run("--start").returncode != 0
    assert divided.run("--check").returncode == 0
    divided.set_own("polling_interval", "0.2")
    done = divided.run("--reload")
    assert (done.returncode, "(polling_interval)" in done.stdout) == (0, True)
    assert divided.run("--restart").returncode == 0
    second = pid_of(divided)
    assert second not in {None, first}
    assert divided.run("--stop").returncode == 0
    assert pid_of(divided) is None
    assert divided.run("--status").returncode == 3
    wait_for(server.timestamps, what="posts")
    assert len({post.agent_id for post in server.posts}) == 1


def test_the_identity_outlives_the_other_directory(divided: Agent, server: PattooServer) -> None:
    """As after a boot: what was in /run is gone."""
    divided.start()
    wait_for(server.timestamps, what="a post")
    assert divided.run("--stop").returncode == 0
    for path in sorted((divided.home / "run").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    before = len(server.posts)
    divided.start()
    wait_for(lambda: len(server.posts) > before, what="another post")
    assert len({post.agent_id for post in server.posts}) == 1
    assert divided.run("--stop").returncode == 0


def test_a_killed_agent_is_found_to_be_cut_short(divided: Agent) -> None:
    """Its marks are in the directory of the PID file."""
    divided.start()
    pid = pid_of(divided) or 0
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid_of(divided) is None, what="its end")
    wait_for(lambda: not divided.processes(), what="the end of the workers")
    status = json.loads(divided.run("--status", "--json").stdout)
    assert (status["state"], status["cut_short_pid"]) == ("stopped", pid)

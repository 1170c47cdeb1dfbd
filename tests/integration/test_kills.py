"""Kills during a start, SIGSTOP, and two agents with the same spool."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import Agent
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]


@pytest.mark.timeout(180)
def test_a_kill_at_any_moment_of_a_start_does_not_prevent_the_next(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """SIGKILL of control or its group, or SIGTERM, within 400 ms: no worker is left behind."""
    draw = random.Random(7)
    agent = make_agent(port=server.port)
    for _ in range(25):
        process = subprocess.Popen(
            [*agent.command, "--foreground"], env=agent.env(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + draw.uniform(0, 0.4)
        wait_for(lambda until=until: time.monotonic() >= until)  # type: ignore[misc]
        with contextlib.suppress(ProcessLookupError):
            match draw.choice(["control", "group", "term"]):
                case "control":
                    process.kill()
                case "group":
                    os.killpg(process.pid, signal.SIGKILL)
                case "term":
                    process.terminate()
        process.wait(30)
        wait_for(lambda: not agent.processes(), what="the end of all workers")
    agent.start()
    assert agent.status()["polls"]["unaccounted"] == 0
    agent.stop()


def test_a_second_agent_with_the_same_spool_does_not_start(
    make_agent: MakeAgent, home: Path, server: PattooServer
) -> None:
    """It exits with status 1 and one line; the first agent goes on."""
    first = make_agent(port=server.port)
    first.start()
    (home / "second").mkdir()
    second = Agent(home / "second", port=server.port)
    text = (second.configuration / "pattoo.yaml").read_text()
    second.write("pattoo.yaml", text.replace(f"{home}/second/cache", f"{home}/cache"))
    done = second.run("--start")
    assert done.returncode == 1
    assert "another agent uses this spool" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert second.pid is None
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) > arrived + 5, what="more polls of the first")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("victim", ["collector", "uploader", "control", "whole group"])
def test_twenty_seconds_of_sigstop_lose_only_the_reported_ticks(
    make_agent: MakeAgent, server: PattooServer, victim: str
) -> None:
    """The same processes go on, and ticks that were missed are counted."""
    agent = make_agent(port=server.port)
    agent.start()
    wait_for(server.timestamps, what="a post")
    pids = sorted(agent.processes())
    control = agent.pid or 0
    target = {"whole group": -control, "control": control}.get(victim) or agent.worker(victim)
    os.kill(target, signal.SIGSTOP)
    until = time.monotonic() + 20
    wait_for(lambda: time.monotonic() > until, 30)
    os.kill(target, signal.SIGCONT)
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: len(set(server.timestamps())) > polled + 10, 60, "more polls")
    assert sorted(agent.processes()) == pids
    status = agent.status()
    last_ms = status["polls"]["last_ms"]
    wait_for(lambda: max(server.timestamps()) >= last_ms, what="all polls of the status")
    seen = sorted({timestamp for timestamp in server.timestamps() if timestamp <= last_ms})
    missing = (seen[-1] - seen[0]) // 100 + 1 - len(seen)
    assert sum(status["missed"].values()) == missing
    # Only the collector can miss ticks; its buffer bridges the absence of control.
    assert (missing >= 190) == (victim in {"collector", "whole group"})
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0


def test_killing_control_loses_no_poll_that_it_had(make_agent: MakeAgent) -> None:
    """The uploader stores the polls that wait in its link between commits."""
    agent = make_agent()
    for _ in range(3):
        agent.start()
        begun = agent.status()["polls"]["since_start"]
        wait_for(lambda: agent.status()["polls"]["since_start"] >= begun + 15, what="polls")  # noqa: B023
        last_ms = agent.status()["polls"]["last_ms"]
        os.kill(agent.pid or 0, signal.SIGKILL)
        wait_for(lambda: not agent.processes(), what="the end of all workers")
        with contextlib.closing(sqlite3.connect(agent.spool)) as spool:
            (newest_ms,) = spool.execute("SELECT max(timestamp_ms) FROM polls").fetchone()
        assert newest_ms >= last_ms

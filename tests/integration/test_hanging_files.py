"""The real agent, and its commands, on a host with a file of /proc that hangs, as under lxcfs."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import Agent
from tests.support.fuse import on_fuse
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fuse import Stage

MEMINFO = "/proc/meminfo"
STAT = "/proc/stat"
ONLINE = "/sys/devices/system/cpu/online"
SECONDS = 60
WHY = "no answer within"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A namespace in which these files can hang."""
    with on_fuse(MEMINFO, STAT, ONLINE) as stage:
        yield stage


@pytest.fixture
def agent(home: Path, stage: Stage) -> Iterator[Agent]:
    """An agent in it."""
    agent = Agent(home, interval=0.5)
    agent.command = [*stage.command, *agent.command]
    yield agent
    for path in (MEMINFO, STAT, ONLINE):
        stage.answer(path)
    agent.end()


def left_out(agent: Agent) -> dict[str, str]:
    """Return what the agent leaves out because it hangs."""
    notes = agent.status()["workers"]["collector"]["troubles"]
    return {name: why for name, why in notes.items() if WHY in why}


@pytest.mark.parametrize("is_first", [False, True], ids=["control first", "collector first"])
def test_an_agent_polls_on_and_stops_while_a_file_hangs(
    agent: Agent, stage: Stage, *, is_first: bool
) -> None:
    """The status names the sources, `--stop` the process that is left; the next start leaves them out.

    Whichever process the signal to the group reaches first.
    """
    agent.start()
    stage.hang(MEMINFO)
    wait_for(lambda: {"memory", "swap"} <= left_out(agent).keys(), what="the note")
    before = agent.status()["polls"]["polled"]
    wait_for(lambda: agent.status()["polls"]["polled"] > before + 3, what="more polls")
    collector = agent.worker("collector")
    if is_first:
        os.kill(collector, signal.SIGTERM)
        wait_for(lambda: not left_out(agent), what="the end of its link")
    done = agent.run("--stop", timeout=SECONDS)
    assert (done.returncode, done.stdout) == (
        0,
        "Daemon is stopped - pattoo_agent_os_autonomousd\n",
    )
    assert f"process {collector} is left: it hangs in the kernel" in done.stderr
    assert f"The collector (process {collector}) cannot be killed" in agent.log
    agent.start()
    wait_for(lambda: {"memory", "swap"} <= left_out(agent).keys(), what="the note")
    stage.answer(MEMINFO)
    wait_for(lambda: not left_out(agent), what="its return")
    told = sum(map(int, re.findall(r"(\d+) ticks? missed", agent.log)))
    status = agent.status()
    assert sum(status["missed"].values()) == told
    first_ms = status["polls"]["oldest_waiting_ms"]
    ticks = (status["polls"]["last_ms"] - first_ms) // 500 + 1
    assert status["polls"]["polled"] + told == ticks, "each tick is polled or told as missed, once"


@pytest.mark.parametrize("path", [MEMINFO, STAT, ONLINE])
def test_once_returns_while_a_file_hangs(agent: Agent, stage: Stage, path: str) -> None:
    """With all other figures, and the reason for these."""
    stage.hang(path)
    done = agent.run("--once", "--json", "--all", timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    families = {family["name"]: family for family in json.loads(done.stdout)["families"]}
    hanging = {name for name, family in families.items() if WHY in str(family["left_out"])}
    assert hanging
    assert len(hanging) < len(families) / 2
    assert families["file_handles"]["series"]


@pytest.mark.parametrize("path", [MEMINFO, STAT, ONLINE])
def test_doctor_returns_while_a_file_hangs(agent: Agent, stage: Stage, path: str) -> None:
    """It names the sources, and examines the rest."""
    stage.hang(path)
    done = agent.run("--doctor", timeout=SECONDS)
    assert done.returncode == 1, done.stderr
    assert WHY in done.stdout
    assert "Spool" in done.stdout


def test_an_agent_starts_while_a_file_hangs(agent: Agent, stage: Stage) -> None:
    """Also psutil reads one on import."""
    stage.hang(STAT)
    stage.hang(ONLINE)
    agent.start()
    wait_for(lambda: {"processor.times", "processors"} <= left_out(agent).keys(), what="the note")
    stage.answer(STAT)
    stage.answer(ONLINE)
    wait_for(lambda: not left_out(agent), what="its return")

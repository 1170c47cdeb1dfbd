"""The real agent with a wall clock that is set forward and back."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_faults import assert_unbroken
from tests.support import shim
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]

HOUR_S = 3600
STEPPED = "clock set forward or host suspended"


class Clock:
    """The wall clock of one agent."""

    def __init__(self, home: Path) -> None:
        self.path = home / "step"
        self.environment = shim.environment(home, shim.CLOCK_STEP, "CLOCK_STEP", self.path)

    def step(self, seconds: int) -> None:
        """Set the clock ahead of the true time by so much."""
        aside = self.path.with_suffix(".new")
        aside.write_text(f"{seconds}\n")
        aside.replace(self.path)


@pytest.fixture
def clock(home: Path) -> Clock:
    """A clock that is right."""
    return Clock(home)


def assert_in_order(server: PattooServer) -> None:
    """Assert that no tick came twice, the oldest came first, and envelope timestamps increase."""
    seen = server.timestamps()
    assert seen == sorted(set(seen))
    envelopes = [post.content["pattoo_agent_timestamp"] for post in server.posts]
    assert envelopes == sorted(set(envelopes))


def more(server: PattooServer, polls: int = 15) -> None:
    """Wait until more polls arrive."""
    arrived = len(server.timestamps())
    wait_for(lambda: len(server.timestamps()) >= arrived + polls, what="more polls")


def test_a_clock_set_forward_is_followed_and_the_gap_is_counted(
    make_agent: MakeAgent, server: PattooServer, clock: Clock, host: Host
) -> None:
    """By an hour: there is no burst, and skipped ticks count as missed, with their reason."""
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    clock.step(HOUR_S)
    more(server)
    assert_in_order(server)
    arrived, status = server.timestamps(), agent.status()
    gaps = status["gaps"]
    assert_unbroken(arrived, 100, gaps)
    (step,) = [gap for gap in gaps if gap["reason"] == STEPPED]
    length_ms = step["before_ms"] - step["after_ms"]
    assert HOUR_S * 1000 <= length_ms < HOUR_S * 1000 + 5000
    assert status["missed"][STEPPED] == length_ms // 100 - 1
    gaps.remove(step)
    for gap in gaps:
        assert host.excuses(gap, HOUR_S * 1000 if gap["after_ms"] > step["after_ms"] else 0)
    assert status["missed"].keys() <= {STEPPED, "late"}
    assert status["polls"]["unaccounted"] == 0


def test_a_clock_set_back_neither_stops_nor_repeats_polls(
    make_agent: MakeAgent, server: PattooServer, clock: Clock, host: Host
) -> None:
    """By an hour: ticks continue where they were, exactly 100 ms apart; none is missing."""
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    clock.step(-HOUR_S)
    more(server, 30)
    assert_in_order(server)
    arrived = server.timestamps()
    assert_unbroken(arrived, 100, host.assert_none_missed(agent.status()))


def test_a_clock_set_back_before_a_restart_neither_stops_nor_repeats_polls(
    make_agent: MakeAgent, server: PattooServer, clock: Clock
) -> None:
    """The new agent continues after the newest poll of the old one."""
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    agent.stop()
    clock.step(-HOUR_S)
    agent.start()
    more(server)
    assert_in_order(server)
    assert agent.status()["polls"]["dropped"] == {}
    done = agent.run("--status")
    assert done.returncode == 1
    assert "polls carry times 60 min ahead of this host's clock" in done.stdout
    assert "ahead of this host's clock, which was set back" in agent.log
    clock.step(0)
    wait_for(lambda: agent.run("--status").returncode == 0, what="a clock that has caught up")
    assert "Polls carry the times of this host's clock again." in agent.log


def test_a_killed_collector_continues_after_a_clock_set_back(
    make_agent: MakeAgent, server: PattooServer, clock: Clock
) -> None:
    """A new collector begins after the newest poll, too."""
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    clock.step(-HOUR_S)
    agent.signal("collector", "SIGKILL")
    more(server)
    assert_in_order(server)
    assert agent.status()["polls"]["dropped"] == {}


def test_ticks_that_were_lost_with_control_are_not_polled_again(
    make_agent: MakeAgent, server: PattooServer, clock: Clock
) -> None:
    """They are not in the spool. The clock is set back meanwhile: the new agent could come to them again."""
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    agent.signal("uploader", "SIGSTOP")
    kept = agent.status()["polls"]
    wait_for(
        lambda: agent.status()["polls"]["since_start"] > kept["since_start"] + 10,
        what="polls that are in the memory of control alone",
    )
    newest_ms = agent.status()["polls"]["last_ms"]
    assert agent.pid is not None
    os.killpg(agent.pid, signal.SIGKILL)
    wait_for(lambda: not agent.processes(), what="the end of all processes")
    clock.step(-60)
    agent.start()
    more(server)
    assert_in_order(server)
    gaps = agent.status()["gaps"]
    (down,) = [gap for gap in gaps if gap["reason"] == "the agent was down"]
    assert down["after_ms"] < newest_ms < down["before_ms"] < newest_ms + 10_000
    arrived = server.timestamps()
    assert_unbroken(arrived, 100, gaps)
    assert not [ms for ms in arrived if down["after_ms"] < ms < down["before_ms"]]
    status = agent.status()
    assert (status["polls"]["dropped"], status["polls"]["unaccounted"]) == ({}, 0)


def test_a_clock_that_leaps_ahead_makes_no_poll_too_old(
    make_agent: MakeAgent, server: PattooServer, clock: Clock
) -> None:
    """By 40 days for a moment, while the server is away: all that waited arrive."""
    server.down()
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.set_own("spool_max_age", "60")
    agent.start()
    wait_for(lambda: agent.status()["polls"]["in_spool"] > 20, what="polls in the spool")
    clock.step(40 * 24 * HOUR_S)
    leaped = wait_for(lambda: agent.status()["gaps"], what="the leap")
    waiting = agent.status()["polls"]["in_spool"]
    clock.step(0)
    wait_for(lambda: agent.status()["polls"]["in_spool"] > waiting + 10, what="polls after it")
    server.up()
    wait_for(lambda: agent.status()["polls"]["delivered"] > waiting, what="the backlog")
    status = agent.status()
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0
    assert leaped[-1]["ticks"] == 0
    assert sum(status["missed"].values()) < 1000
    assert "The clock went ahead by 40 days, which counts as 0 ticks missed" in agent.log
    assert_in_order(server)
    for line in agent.log.splitlines():
        if "accepts posts again, after" in line:
            assert int(line.rpartition("after ")[2].split()[0]) < HOUR_S


def test_a_host_that_begins_in_1970_misses_nothing(
    make_agent: MakeAgent, server: PattooServer, clock: Clock
) -> None:
    """It has no real-time clock; a time server sets its clock later."""
    clock.step(15 - int(time.time()))
    agent = make_agent(port=server.port, environment=clock.environment)
    agent.start()
    more(server)
    clock.step(0)
    more(server)
    status = agent.status()
    assert sum(status["missed"].values()) < 1000
    assert [gap["ticks"] for gap in status["gaps"] if gap["after_ms"] < 10**9] == [0]
    assert "the clock went" in agent.run("--status").stdout
    assert status["polls"]["dropped"] == {}

"""Groups of families with their own intervals, in the real agent."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.ledger import ticks_between
from tests.support.agent import NAME
from tests.support.arrived import assert_every_tick_is_there, book, kept, sent
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.agent import Agent
    from tests.support.arrived import Sent
    from tests.support.server import PattooServer
    from tests.support.standstill import Host

    MakeAgent = Callable[..., Agent]

INTERVALS_MS = (100, 500, 2000)


def set_intervals(agent: Agent, own: str) -> None:
    """Poll every 0.1 s, and some families at their own intervals.

    None of these families may hang: if a busy host left one out, its group's poll would be empty.
    """
    agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: 0.1\n  intervals: {own}\n")


def in_three_groups(make_agent: MakeAgent, server: PattooServer) -> Agent:
    """Start an agent with groups of 0.1, 0.5 and 2 s."""
    agent = make_agent(port=server.port)
    set_intervals(agent, "{memory: 0.5, network: 2}")
    agent.start()
    return agent


def wait_for_polls(server: PattooServer, interval_ms: int, count: int) -> None:
    """Wait until so many more polls of a group have arrived."""

    def arrived() -> int:
        return [ms for _, ms in sent(server)].count(interval_ms)

    before = arrived()
    wait_for(lambda: arrived() >= before + count, what="more polls of a group")


def of_group(polls: list[Sent], interval_ms: int) -> list[Sent]:
    """Return the polls of one group."""
    return [poll for poll in polls if poll[1] == interval_ms]


def assert_times_never_go_back(polls: list[Sent]) -> None:
    """Assert that times never decrease, so that no server drops a poll, and none comes twice."""
    assert all(before <= after for (before, _), (after, _) in pairwise(polls))
    assert len(set(polls)) == len(polls)


@pytest.mark.timeout(120)
def test_every_tick_of_every_group_arrives(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """In order, in posts with polls of several groups. The ledger balances."""
    agent = in_three_groups(make_agent, server)
    wait_for_polls(server, 2000, 2)
    status = agent.status()
    title = agent.run("--status").stdout
    agent.stop()
    polls = [*sent(server), *kept(agent)]
    gaps = host.assert_none_missed(book(agent))
    for interval_ms in INTERVALS_MS:
        assert_every_tick_is_there(of_group(polls, interval_ms), gaps)
    assert_times_never_go_back(polls)
    assert status["polls"]["unaccounted"] == 0
    assert (status["interval_ms"], status["intervals_ms"]) == (100, list(INTERVALS_MS))
    assert ", every 0.1 s, 0.5 s, 2 s" in title
    intervals = [
        {point["pattoo_agent_polling_interval"] for point in post.datapoints()}
        for post in server.posts
    ]
    assert any(len(found) > 1 for found in intervals)


@pytest.mark.timeout(120)
def test_the_ledger_counts_all_ticks_missed_by_kills_and_a_restart(
    make_agent: MakeAgent, server: PattooServer
) -> None:
    """After SIGKILLs of the collector, a stop and a start, each group's ticks arrived or are counted."""
    agent = in_three_groups(make_agent, server)
    for _ in range(2):
        wait_for_polls(server, 500, 1)
        os.kill(agent.worker("collector"), signal.SIGKILL)
    wait_for_polls(server, 500, 1)
    agent.stop()
    newest_ms = max(time for time, _ in [*sent(server), *kept(agent)])
    agent.start()
    wait_for_polls(server, 2000, 1)
    assert agent.status()["polls"]["unaccounted"] == 0
    agent.stop()
    polls = [*sent(server), *kept(agent)]
    assert_times_never_go_back(polls)
    absent = sum(
        # A new agent counts missing ticks from the newest poll of any group on.
        ticks_between(max(before, newest_ms) if after > newest_ms else before, after, interval_ms)
        for interval_ms in INTERVALS_MS
        for (before, _), (after, _) in pairwise(of_group(polls, interval_ms))
    )
    missed = book(agent)["missed"]
    assert absent == sum(missed.values())
    assert set(missed) <= {"the collector was down", "the agent was down", "late"}
    assert "the agent was down" in missed


@pytest.mark.timeout(120)
def test_a_family_moves_to_other_intervals_and_back_without_a_missed_tick(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """By reloads into a new group, an existing one, and back."""
    agent = make_agent(port=server.port)
    set_intervals(agent, "{network: 0.5}")
    agent.start()
    for _ in range(3):
        for own in ("{memory: 0.2, network: 0.5}", "{memory: 0.5, network: 0.5}",
                    "{network: 0.5}"):  # fmt: skip
            set_intervals(agent, own)
            done = agent.run("--reload")
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == f"Daemon is reloaded - {NAME} (intervals)\n"
            polled = agent.status()["polls"]["polled"]
            wait_for(lambda p=polled: agent.status()["polls"]["polled"] > p + 8, what="polls")  # type: ignore[misc]
    status = agent.status()
    assert status["polls"]["unaccounted"] == 0
    assert status["intervals_ms"] == [100, 500]
    agent.stop()
    gaps = host.assert_none_missed(book(agent))
    moving = [*sent(server, "memory_total"), *kept(agent, "memory_total")]
    moves = [(old, new) for (_, old), (_, new) in pairwise(moving) if old != new]
    assert moves == [(100, 200), (200, 500), (500, 100)] * 3
    assert_every_tick_is_there(moving, gaps)
    polls = [*sent(server), *kept(agent)]
    for interval_ms in (100, 500):
        assert_every_tick_is_there(of_group(polls, interval_ms), gaps)
    assert_times_never_go_back(polls)
    assert "The interval of memory changed from 0.1 s to 0.2 s." in agent.log

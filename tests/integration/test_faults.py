"""Faults of the server and of processes, with the real agent."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PattooServer, hanging, slow, well
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.agent import Agent
    from tests.support.standstill import Gap, Host

    MakeAgent = Callable[..., Agent]


def assert_unbroken(timestamps: list[int], interval_ms: int, gaps: Sequence[Gap] = ()) -> None:
    """Assert that no tick is missing except in `gaps`, none came twice, and the oldest came first."""
    known = {(gap["after_ms"], gap["before_ms"]) for gap in gaps}
    others = [pair for pair in pairwise(timestamps) if pair not in known]
    assert {later - earlier for earlier, later in others} == {interval_ms}
    assert all(earlier < later for earlier, later in known)
    assert all(timestamp % interval_ms == 0 for timestamp in timestamps)


@pytest.mark.timeout(150)
def test_no_tick_is_missed_while_the_server_is_slow_hangs_or_is_down(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """Every poll arrives, oldest first, exactly 500 ms apart."""
    server.behaviour = slow(2)
    agent = make_agent(port=server.port, interval=0.5)
    agent.start()
    started = time.monotonic()
    wait_for(lambda: time.monotonic() > started + 10, what="ten seconds of a slow server")
    over = threading.Event()
    server.behaviour = hanging(over)
    wait_for(lambda: time.monotonic() > started + 20, what="ten seconds of a server that hangs")
    over.set()
    server.down()
    wait_for(lambda: time.monotonic() > started + 30, what="ten seconds without a server")
    server.behaviour = well
    server.up()
    wait_for(lambda: agent.status()["polls"]["polled"] >= 60, what="thirty seconds of polls")
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: len(server.timestamps()) > polled, 45, "the arrival of all polls")
    arrived = server.timestamps()
    assert_unbroken(arrived, 500, host.assert_none_missed(agent.status()))


@pytest.mark.timeout(120)
def test_killing_the_uploader_costs_no_tick_and_no_poll(
    make_agent: MakeAgent, server: PattooServer, host: Host
) -> None:
    """With 18 SIGKILLs of the uploader in 20 s at 10 Hz, each poll arrives once, in order."""
    agent = make_agent(port=server.port, interval=0.1)
    agent.start()
    started = time.monotonic()
    killed = 0
    for number in range(18):
        wait_for(lambda at=started + number * 1.1: time.monotonic() > at)  # type: ignore[misc]
        wait_for(lambda old=killed: agent.worker("uploader") != old, what="another uploader")  # type: ignore[misc]
        killed = agent.worker("uploader")
        os.kill(killed, signal.SIGKILL)
    wait_for(lambda: agent.status()["polls"]["polled"] >= 200, what="twenty seconds of polls")
    polled = agent.status()["polls"]["polled"]
    wait_for(lambda: len(server.timestamps()) > polled, 60, "the arrival of all polls")
    arrived, status = sorted(set(server.timestamps())), agent.status()
    assert_unbroken(arrived, 100, host.assert_none_missed(status))
    assert status["polls"]["dropped"] == {}
    assert status["polls"]["unaccounted"] == 0
    assert status["workers"]["uploader"]["restarts"] == 18

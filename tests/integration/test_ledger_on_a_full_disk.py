"""The ledger of the real agent where the disk is full at a start, and over kills at any moment."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import shim
from tests.support.disks import fill, small
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.agent import Agent
    from tests.support.server import PattooServer

    MakeAgent = Callable[..., Agent]

STEP_MS = 100
EVENTS = ("collector", "uploader", "control", "freed")


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A small disk for the cache directory."""
    with small(home / "cache", "4m") as cache:
        yield cache


class Supervised:
    """An agent whose control process is started again when it has been killed."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._running = contextlib.ExitStack()
        self._control: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start control as a supervisor does, and wait until it polls."""
        self._control = self._running.enter_context(
            self.agent.foreground(stderr=subprocess.DEVNULL)
        )
        wait_for(lambda: self._control and self.agent.pid == self._control.pid, what="an agent")
        self.poll_on()

    def kill(self, role: str) -> None:
        """Kill a process; replace it if that is control."""
        if role != "control":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.agent.worker(role), signal.SIGKILL)
        elif self._control is not None:
            self._control.kill()
            self._control.wait(30)
            self.start()

    def poll_on(self, count: int = 4) -> None:
        """Wait for more polls."""
        before = self.agent.status()["polls"]["since_start"]
        wait_for(
            lambda: self.agent.status()["polls"]["since_start"] >= before + count, what="polls"
        )

    def close(self) -> None:
        """End it, whatever the test did."""
        self._running.close()


@pytest.fixture
def supervised(
    make_agent: MakeAgent, server: PattooServer, small_disk: Path
) -> Iterator[Supervised]:
    """An agent whose spool is on a small disk."""
    del small_disk
    made = Supervised(make_agent(port=server.port))
    yield made
    made.close()


def assert_each_tick_is_counted_once(
    agent: Agent, server: PattooServer, step_ms: int = STEP_MS
) -> None:
    """Assert that the ticks since the first poll that arrived are polls that arrived, or told as missed."""
    status = agent.status()
    last_ms = status["polls"]["last_ms"]
    wait_for(lambda: max(server.timestamps(), default=0) >= last_ms, what="all polls of the status")
    arrived = {timestamp for timestamp in server.timestamps() if timestamp <= last_ms}
    ticks = (last_ms - min(arrived)) // step_ms + 1
    assert len(arrived) + sum(status["missed"].values()) == ticks, (
        status["missed"],
        status["gaps"],
    )
    gaps: list[dict[str, Any]] = status["gaps"]
    assert sum(gap["ticks"] for gap in gaps) == sum(status["missed"].values())
    told = {t for gap in gaps for t in range(gap["after_ms"], gap["before_ms"], step_ms)}
    assert set(range(min(arrived), last_ms + 1, step_ms)) <= told | arrived
    assert gaps == sorted(gaps, key=lambda gap: gap["before_ms"])
    assert status["polls"]["unaccounted"] == 0
    assert status["polls"]["dropped"] == {}
    wait_for(lambda: agent.status()["polls"]["delivered"] >= len(arrived), what="the whole account")
    polls = agent.status()["polls"]
    assert polls["polled"] - len(arrived) <= (polls["last_ms"] - last_ms) // step_ms


@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids="-".join)
def test_each_tick_is_counted_once_after_a_start_on_a_full_disk(
    supervised: Supervised, server: PattooServer, small_disk: Path, order: tuple[str, ...]
) -> None:
    """An earlier agent left polls and gaps; then come a start on a full disk, and these events."""
    agent = supervised.agent
    agent.start()
    wait_for(lambda: len(server.timestamps()) >= 5, what="polls of an earlier agent")
    agent.signal("collector", "SIGKILL")
    wait_for(lambda: agent.status()["missed"], what="missed ticks of an earlier agent")
    server.down()
    wait_for(lambda: agent.status()["polls"]["in_spool"] >= 3, what="polls in the spool")
    agent.stop()
    server.up()
    filler = fill(small_disk)
    supervised.start()
    for event in order:
        if event == "freed":
            filler.unlink()
        else:
            supervised.kill(event)
        supervised.poll_on()
    wait_for(lambda: agent.status()["polls"]["delivered"], what="the account")
    assert_each_tick_is_counted_once(agent, server)


@pytest.mark.parametrize("freed", [False, True])
def test_a_stop_of_an_agent_that_could_not_open_its_spool(
    supervised: Supervised, small_disk: Path, *, freed: bool
) -> None:
    """It is not delayed. What is lost from memory is logged; with room again, nothing is."""
    filler = fill(small_disk)
    supervised.start()
    agent = supervised.agent
    wait_for(lambda: agent.status()["workers"]["uploader"]["troubles"], what="the trouble")
    if freed:
        filler.unlink()
    os.kill(agent.pid or 0, signal.SIGTERM)
    wait_for(lambda: agent.pid is None, what="the end")
    assert ("lost from memory: the spool accepted no writes" in agent.log) != freed
    assert "did not exit within" not in agent.log
    if freed:
        with contextlib.closing(sqlite3.connect(agent.spool)) as spool:
            facts = dict(spool.execute("SELECT name, value FROM facts"))
        assert int(facts["kept"]) >= 4


class Samples:
    """Takes the status again and again while a test kills processes."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._over = threading.Event()
        self._draw = random.Random(6)
        self._thread = threading.Thread(target=self._take)
        self.unaccounted: Counter[int] = Counter()
        self.troubles: set[str] = set()

    def __enter__(self) -> Samples:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _take(self) -> None:
        # A request wakes control up; between two of them it must be right as well.
        while not self._over.wait(self._draw.uniform(0.005, 0.2)):
            with contextlib.suppress(OSError, AssertionError):
                status = self._agent.status()
                self.unaccounted[status["polls"]["unaccounted"]] += 1
                self.troubles |= {trouble["code"] for trouble in status["troubles"]}


@pytest.mark.timeout(180)
def test_the_account_is_right_at_every_moment_of_kills(
    make_agent: MakeAgent, server: PattooServer, home: Path
) -> None:
    """Above all after an uploader was killed between a commit and its acknowledgement.

    While a sync takes five seconds, that is where it is. The interval is long enough for the next
    uploader to send its account before another poll comes.
    """
    slow = home / "slow"
    agent = make_agent(port=server.port, interval=1)
    agent.environment = shim.environment(home, shim.SLOW_SYNC, "SLOW_SYNC", slow)
    agent.start()
    draw = random.Random(14)

    def in_channel() -> int:
        return int(agent.status()["polls"]["in_channel"])

    with Samples(agent) as samples:
        for _ in range(8):
            slow.touch()
            wait_for(lambda: in_channel() >= 2, what="polls that are not acknowledged")
            agent.signal("uploader", "SIGKILL")
            slow.unlink()
            wait_for(lambda: in_channel() == 0, what="the acknowledgement")
            agent.signal(draw.choice(["collector", "uploader"]), "SIGKILL")
    assert samples.unaccounted.keys() == {0}
    assert samples.unaccounted.total() > 50
    assert "unaccounted" not in samples.troubles
    assert_each_tick_is_counted_once(agent, server, 1000)
    agent.stop()

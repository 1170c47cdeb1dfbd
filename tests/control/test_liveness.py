"""When a worker counts as unresponsive: with long intervals, with nothing to do, and after a standstill."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control import workers
from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.worker import Role, Worker
from pattoo_mp.control.workers import Liveness
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Poll
from tests.control.test_arbiter import Control, keeping, polled
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.ipc.link import Link

HOUR_MS = 3_600_000
LIMIT_S = 60.0


class Clock:
    """Takes the place of the module `time` in control: a monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time that the test has set."""
        return self.now


class Rig:
    """The liveness of two workers without processes, with polls every hour."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.broker = Broker(Channel(), Ledger(HOUR_MS))
        self.collector, self.uploader = (
            Worker(Role(name, lambda _: None, signal.SIGKILL)) for name in ("collector", "uploader")
        )
        self.liveness = Liveness(self.collector, self.uploader, self.broker, LIMIT_S)

    def left_s(self, worker: Worker) -> float:
        """How long from now the worker may send nothing."""
        return self.liveness.deadline(worker) - self.clock.now

    def poll(self) -> None:
        """Put a poll into the channel."""
        self.broker.channel.put(Poll("layout", HOUR_MS, b""))


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Two workers that were just heard."""
    clock = Clock()
    monkeypatch.setattr(workers, "time", clock)
    return Rig(clock)


def test_a_collector_may_be_silent_for_its_interval_and_the_limit(rig: Rig) -> None:
    """With an interval of an hour it has nothing to send before that."""
    assert rig.left_s(rig.collector) == 3600 + LIMIT_S
    rig.clock.now += 3600
    assert rig.left_s(rig.collector) == LIMIT_S


def test_after_a_reload_the_shortest_interval_counts(rig: Rig) -> None:
    """A collector that polls every second and hangs is noticed within about a minute."""
    rig.broker.ledger.change_intervals([1000, HOUR_MS], 0)
    assert rig.left_s(rig.collector) == 1 + LIMIT_S


def test_an_uploader_without_polls_may_be_silent_forever(rig: Rig) -> None:
    """Its time begins with the poll that it has to store, however long it was idle before."""
    for _ in range(3):
        assert rig.left_s(rig.uploader) == float("inf")
        rig.clock.now += 3600
        rig.liveness.reset_timers(0.0)
    rig.poll()
    assert rig.left_s(rig.uploader) == LIMIT_S


def test_an_uploader_that_does_not_store_a_poll_is_unresponsive(rig: Rig) -> None:
    """Control wakes up meanwhile, but that does not give it more time."""
    rig.poll()
    for _ in range(4):
        rig.clock.now += LIMIT_S / 4
        rig.liveness.reset_timers(rig.clock.now)
    assert rig.left_s(rig.uploader) <= 0


def test_after_a_standstill_of_control_both_have_the_whole_limit(rig: Rig) -> None:
    """A host that was suspended, or control that was stopped: what they sent was not read yet."""
    rig.poll()
    planned = rig.clock.now + 1
    rig.clock.now += 10_000
    rig.liveness.reset_timers(planned)
    assert rig.left_s(rig.uploader) == LIMIT_S
    assert rig.left_s(rig.collector) == 3600 + LIMIT_S


def test_a_wait_that_ends_as_planned_excuses_nobody(rig: Rig) -> None:
    """Neither does a wait without an end, after which the first message came late."""
    rig.poll()
    rig.clock.now += 10_000
    rig.liveness.reset_timers(rig.clock.now - 1)
    rig.liveness.reset_timers(0.0)
    assert rig.left_s(rig.uploader) < 0


# With processes: a limit that is much shorter than the interval.

SLOW_MS = 1500


def polling_slowly(link: Link) -> None:
    """Send a poll at each tick of the long interval, until SIGTERM."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    link.send(Kind.LAYOUT, "a", b"", SLOW_MS)
    tick = time.time_ns() // 1_000_000 // SLOW_MS
    while not asked:
        tick += 1
        select.select([], [], [], SLOW_MS / 1000)
        link.send(Kind.POLL, "a", tick * SLOW_MS, b"", "", SLOW_MS)


@pytest.fixture
def slow(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """An agent that polls every 1.5 s and replaces a worker that owes a message for half a second."""
    monkeypatch.setattr("tests.control.test_arbiter.INTERVAL_MS", SLOW_MS)
    started = Control(home, polling_slowly, keeping, 0.5, Arbiter)
    yield started
    with suppress(ProcessLookupError):
        os.kill(started.pid, signal.SIGKILL)
        os.waitpid(started.pid, 0)


def test_idle_workers_are_not_replaced(slow: Control) -> None:
    """Between two polls neither has anything to send, for three times the limit."""
    wait_for(lambda: polled(slow) >= 3, what="polls")
    wait_for(lambda: slow.status()["polls"]["in_spool"] >= 3, what="polls that are kept")
    restarts = {name: slow.worker(name)["restarts"] for name in ("collector", "uploader")}
    assert restarts == {"collector": 0, "uploader": 0}

"""When control listens, and when a worker counts as unresponsive: with long intervals, idle, after a standstill."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control import listening
from pattoo_mp.control.arbiter import Arbiter
from pattoo_mp.control.broker import Broker
from pattoo_mp.control.ledger import Ledger
from pattoo_mp.control.listening import Liveness, Rest
from pattoo_mp.control.worker import Role, Worker
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Poll
from tests.control.test_arbiter import Control, keeping, polled
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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
    monkeypatch.setattr(listening, "time", clock)
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


# How long control leaves the links unread.


class Resting:
    """A rest of control, with a collector whose link is real, and an interval."""

    def __init__(self, clock: Clock, interval_ms: int) -> None:
        self.clock = clock
        self.broker = Broker(Channel(), Ledger(interval_ms))
        self.broker.any_kept = True
        self.collector = Worker(Role("collector", lambda _: None, signal.SIGKILL))
        self.collector.link, self.far = Link.pair()
        self.rest = Rest(self.collector, self.broker)
        self.interval_ms = interval_ms
        self._next_ms = interval_ms

    def batch(self, polls: int, size: int = 1000) -> float:
        """Poll so often, let control read all of it, and return how long it rests then."""
        assert self.collector.link is not None
        for _ in range(polls):
            self.clock.now += self.interval_ms / 1000
            self.far.send(Kind.POLL, b"x" * size)
            self.broker.ledger.poll(self._next_ms, "", self.interval_ms)
            self._next_ms += self.interval_ms
            self.collector.link.receive()
        self.rest.plan(is_possible=True)
        return max(0.0, self.rest.ends_at - self.clock.now)


@pytest.fixture
def resting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Resting]]:
    """Make one that has just begun to poll."""
    clock = Clock()
    monkeypatch.setattr(listening, "time", clock)
    made: list[Resting] = []

    def make(interval_ms: int) -> Resting:
        made.append(Resting(clock, interval_ms))
        return made[-1]

    yield make
    for one in made:
        one.far.close()
        one.collector.close_link()


@pytest.mark.parametrize("interval_ms", [20, 100, 500])
def test_polls_that_share_a_commit_are_read_together(
    resting: Callable[[int], Resting], interval_ms: int
) -> None:
    """Nothing is done with them before that."""
    assert resting(interval_ms).batch(2, size=100) == pytest.approx(1.0)


@pytest.mark.parametrize("interval_ms", [501, 1000, 60_000])
def test_polls_that_share_no_commit_are_read_at_once(
    resting: Callable[[int], Resting], interval_ms: int
) -> None:
    """To let them wait would save nothing."""
    assert resting(interval_ms).batch(3) == 0


@pytest.mark.parametrize("size", [1_000, 10_000, 50_000])
def test_polls_do_not_wait_until_the_buffer_is_full(
    resting: Callable[[int], Resting], size: int
) -> None:
    """Half of what a socket buffers is not exceeded, however large the polls are."""
    left_s = resting(10).batch(5, size)
    assert left_s == pytest.approx(100_000 / (100 * (size + 1000)), rel=0.05)


def test_a_rest_goes_on_if_something_else_wakes_control(resting: Callable[[int], Resting]) -> None:
    """What came meanwhile was read; the time of the next commit stays."""
    rest = resting(100)
    rest.batch(1)
    ends_at = rest.rest.ends_at
    assert rest.batch(3) == pytest.approx(ends_at - rest.clock.now)


def test_without_polls_control_waits_for_the_first_message(
    resting: Callable[[int], Resting],
) -> None:
    """A collector that has fallen silent, or was replaced, is heard at once."""
    rest = resting(100)
    rest.batch(1)
    rest.clock.now = rest.rest.ends_at
    assert rest.batch(0) == 0


def test_control_does_not_rest_before_a_poll_is_kept_or_while_something_changes(
    resting: Callable[[int], Resting],
) -> None:
    """A start, a reload and a stop wait for messages."""
    rest = resting(100)
    rest.batch(1)
    rest.rest.plan(is_possible=False)
    assert not rest.rest.is_on
    rest.broker.any_kept = False
    assert rest.batch(1) == 0

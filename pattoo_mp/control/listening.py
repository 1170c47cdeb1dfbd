"""When control listens to its workers, and when one has been silent for too long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import commit_s

if TYPE_CHECKING:
    from pattoo_mp.control.broker import Broker
    from pattoo_mp.control.worker import Worker

#: If control wakes up this late (s), it was itself stopped or starved, and the workers are excused.
_OVERSLEPT_S: Final = 5.0
_NEVER: Final = float("inf")
#: Half of what a socket buffers before the sender has to wait (`net.core.wmem_default`).
_UNREAD_BYTES: Final = 100_000
#: What a message takes in the kernel in addition to its content.
_OVERHEAD_BYTES: Final = 1_000


class Rest:
    """Times in which control reads no messages, if polls come faster than they are committed.

    A process that wakes up finds its memory cold, and that costs more than its work. So polls stay in
    the kernel's buffer until the uploader is to commit them, or until the buffer may be half full.
    Whatever else wakes control (a request for the status, a signal, the end of a worker), it reads all
    messages first. The buffer outlives the collector. Control's own end loses it; the next run reports
    these ticks as missed.
    """

    def __init__(self, collector: Worker, broker: Broker) -> None:
        self._collector = collector
        self._broker = broker
        #: When the rest ends, on the monotonic clock; in the past if control does not rest.
        self.ends_at = 0.0
        self._planned_at = time.monotonic()
        self._polled = 0

    @property
    def is_on(self) -> bool:
        """Whether control rests now."""
        return time.monotonic() < self.ends_at

    def plan(self, *, is_possible: bool) -> None:
        """Begin a rest after messages were read, if it is possible; a rest under way goes on."""
        if not is_possible or not self._broker.any_kept:
            self.ends_at = 0.0
            return
        if self.is_on:
            return
        now = time.monotonic()
        polled, self._polled = self._polled, self._broker.ledger.polled
        since_s, self._planned_at = now - self._planned_at, now
        link = self._collector.link
        received = link.take_received() if link is not None else (0, 0)
        if self._polled > polled:
            # A hub's polls come one by one, from many spokes, however long the interval of each is.
            is_hub = self._broker.spokes is not None
            own_s = self._broker.ledger.interval_ms / 1000
            interval_s = since_s / (self._polled - polled) if is_hub else own_s
            self.ends_at = now + self._seconds(since_s, interval_s, *received)

    def _seconds(self, since_s: float, interval_s: float, messages: int, size: int) -> float:
        """Return how long to rest; `messages` of a total `size` came in the last `since_s`."""
        until_commit_s = commit_s(interval_s)
        if until_commit_s < 2 * interval_s:
            return 0.0
        bytes_per_s = (size + messages * _OVERHEAD_BYTES) / max(since_s, interval_s)
        return min(until_commit_s, _UNREAD_BYTES / max(1.0, bytes_per_s))


class Liveness:
    """Tracks when each worker was last heard. Times are of the monotonic clock, in s.

    After `limit_s` without a message that was due, a worker counts as unresponsive.
    """

    def __init__(self, collector: Worker, uploader: Worker, broker: Broker, limit_s: float) -> None:
        self._collector = collector
        self._uploader = uploader
        self._broker = broker
        self._limit_s = limit_s
        self._heard = dict.fromkeys((collector, uploader), time.monotonic())

    def heard(self, worker: Worker) -> None:
        """Record that a worker has sent something, or has just been started."""
        self._heard[worker] = time.monotonic()

    def quiet_s(self, worker: Worker) -> float:
        """Return how long a worker has sent nothing."""
        return time.monotonic() - self._heard[worker]

    def reset_timers(self, planned: float) -> None:
        """Restart timers where there was nothing to send, or control could not receive.

        `planned` is when control meant to wake up; 0 if it waited without a timeout.
        """
        now = time.monotonic()
        if not len(self._broker.channel):
            self._heard[self._uploader] = now
        if planned and now - planned > _OVERSLEPT_S:
            self._heard = dict.fromkeys(self._heard, now)

    def deadline(self, worker: Worker) -> float:
        """Return when a worker becomes unresponsive; infinity if it has nothing to send."""
        heard = self._heard[worker]
        if worker is self._collector:
            return heard + self._broker.ledger.interval_ms / 1000 + self._limit_s
        return heard + self._limit_s if len(self._broker.channel) else _NEVER

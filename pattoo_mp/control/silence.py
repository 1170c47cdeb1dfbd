"""How long a worker has said nothing, and from when on that is strange."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pattoo_mp.control.relay import Relay
    from pattoo_mp.control.worker import Worker

#: A worker that should have said something and has not for this long is replaced.
SILENCE_S: Final = 60.0
#: Control itself was stopped or starved: what it did not hear is not the workers' silence.
_OVERSLEPT_S: Final = 5.0
_NEVER: Final = float("inf")


class Silence:
    """Notes when each of the two was heard last. Times are of the monotonic clock, in s."""

    def __init__(self, collector: Worker, uploader: Worker, relay: Relay, limit_s: float) -> None:
        self._collector = collector
        self._uploader = uploader
        self._relay = relay
        self._limit_s = limit_s
        self._heard = dict.fromkeys((collector, uploader), time.monotonic())

    def heard(self, worker: Worker) -> None:
        """Note that a worker has said something, or has just begun to be one."""
        self._heard[worker] = time.monotonic()

    def lasts_s(self, worker: Worker) -> float:
        """How long a worker has said nothing."""
        return time.monotonic() - self._heard[worker]

    def forgive(self, planned: float) -> None:
        """Begin to count anew where nothing could be said, or nothing could be heard.

        `planned` is when control meant to be awake again; 0 if it had no plan.
        """
        now = time.monotonic()
        if not len(self._relay.channel):
            self._heard[self._uploader] = now
        if planned and now - planned > _OVERSLEPT_S:
            self._heard = dict.fromkeys(self._heard, now)

    def strange_at(self, worker: Worker) -> float:
        """When the silence of a worker becomes strange; never if it has nothing to say."""
        heard = self._heard[worker]
        if worker is self._collector:
            return heard + self._relay.ledger.interval_ms / 1000 + self._limit_s
        return heard + self._limit_s if len(self._relay.channel) else _NEVER

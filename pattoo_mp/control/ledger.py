"""The account of every tick and every poll, since control started."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

#: Gaps kept with when and why; older ones only in the counts.
_GAPS: Final = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Ticks that were never polled: how many, between which two polls, and why."""

    ticks: int
    after_ms: int
    before_ms: int
    reason: str


@dataclass(slots=True)
class Ledger:
    """Counts polls as they come in, and the ticks between them that did not.

    Ticks are the multiples of `interval_ms`, so what is missing between two polls shows in
    their timestamps, whatever the reason was.
    """

    interval_ms: int
    polled: int = 0
    kept: int = 0
    last_poll_ms: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    gaps: deque[Gap] = field(default_factory=lambda: deque(maxlen=_GAPS))

    def poll(self, timestamp_ms: int, reason: str) -> None:
        """Count a poll; `reason` tells why ticks before it were missed, if any were."""
        self.polled += 1
        if self.last_poll_ms:
            ticks = ticks_between(self.last_poll_ms, timestamp_ms, self.interval_ms)
            if ticks:
                self.missed[reason] += ticks
                self.gaps.append(Gap(ticks, self.last_poll_ms, timestamp_ms, reason))
        self.last_poll_ms = timestamp_ms


def ticks_between(earlier_ms: int, later_ms: int, interval_ms: int) -> int:
    """How many ticks lie strictly between two times."""
    return max(0, (later_ms - 1) // interval_ms - earlier_ms // interval_ms)

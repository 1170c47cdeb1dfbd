"""The ticks of one interval: which were polled, and how many were not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Track:
    """Counts the ticks of one interval that lie between its polls.

    `newest_ms` is its newest poll, or the poll of another interval after which this one began; 0
    if there was none yet: then nothing can be missing. Ticks up to and including `counted_ms` are
    counted; `pending` of them were missed, for the next poll to tell. `excuse` says why, where that
    is known before it. `first_ms` is the first poll of its own.
    """

    interval_ms: int
    newest_ms: int = 0
    counted_ms: int = 0
    pending: int = 0
    excuse: str = ""
    first_ms: int = 0

    def begin(self, newest_ms: int, after_ms: int = 0) -> None:
        """Count ticks after a poll, and after a boundary that comes later, if it does."""
        self.newest_ms = newest_ms
        self.counted_ms = max(newest_ms, after_ms)

    def poll(self, timestamp_ms: int) -> int:
        """Note a poll. Returns how many ticks before it were missed."""
        self.first_ms = self.first_ms or timestamp_ms
        self.count_until(timestamp_ms)
        missed, self.pending, self.excuse = self.pending, 0, ""
        self.begin(timestamp_ms)
        return missed

    def missed_since(self, newest_ms: int) -> int:
        """How many ticks lie between a poll of an earlier agent and the first poll of this one."""
        return ticks_between(newest_ms, self.first_ms, self.interval_ms)

    def count_until(self, timestamp_ms: int) -> None:
        """Count the ticks before a time."""
        if self.newest_ms:
            self.pending += ticks_between(self.counted_ms, timestamp_ms, self.interval_ms)
            self.counted_ms = max(self.counted_ms, timestamp_ms - 1)

    def take_over(self, other: Track) -> None:
        """Tell with the next poll what is pending in a track that ended."""
        self.newest_ms = min(self.newest_ms, other.newest_ms)
        self.excuse = self.excuse or other.excuse
        self.pending += other.pending


def ticks_between(earlier_ms: int, later_ms: int, interval_ms: int) -> int:
    """How many ticks lie strictly between two times."""
    return max(0, (later_ms - 1) // interval_ms - earlier_ms // interval_ms)

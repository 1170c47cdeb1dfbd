"""When to poll: at whole multiples of each interval on the wall clock.

So hosts and restarts line up, and what has different intervals is due at the same moment where it
can be. The waiting itself is done on the monotonic clock, and the time of day is the monotonic
clock plus an offset, looked at anew at each tick:

- A clock set forward is followed at once; the ticks that never were are counted.
- A clock set back by less than half an interval (the shortest) since the last tick is followed: the
  next tick comes a little later, and at most an interval and a half after the last.
- A clock set back by more is not followed. Following it would stall polling until the time had
  come again, or send ticks that the server, which keeps nothing older than its newest, would drop
  without a word. The schedule goes on in its own time until the wall clock has caught up.
- A monotonic clock that leaps (a virtual host that was moved) changes nothing: the wall clock, which
  went on as it should, is followed.

The intervals may change between two ticks. Up to a boundary all ticks are multiples of the old
ones, after it of the new ones, so none is missed, none comes twice, and times grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NS_PER_MS: Final = 1_000_000


class Reason(StrEnum):
    """Why ticks were missed."""

    LATE = "late"
    CLOCK = "clock set forward or host suspended"


@dataclass(frozen=True, slots=True)
class Tick:
    """A time to poll what has this interval, and the ticks of it that were missed just before."""

    timestamp_ms: int
    interval_ms: int
    missed: int = 0
    reason: Reason | None = None


class Schedule:
    """The ticks of some intervals. Clocks (in ns) are handed in: `time.time_ns`, `time.monotonic_ns`.

    `after_ms` is the newest poll that there is, if any: no tick at or before it comes again.
    """

    def __init__(
        self,
        intervals_ms: Iterable[int],
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        after_ms: int = 0,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset = max(wall_ns(), after_ms * _NS_PER_MS) - monotonic_ns()
        self._stepped = 0
        self._seen = monotonic_ns() + self._offset
        self._earliest = 0
        self._boundary_ms = 0
        self._patience: int | None = None
        self._dues: list[_Due] = []
        self._shortest = self._floor = 0
        self._begin(intervals_ms)
        self._plan(max(self._now(), after_ms * _NS_PER_MS))

    def wait_s(self) -> float:
        """Seconds until the next tick; 0 if one is due."""
        return max(0, self._next() - self._now()) / 1e9

    def skip_until(self, seconds: float, patience_s: float | None = None) -> None:
        """Put the first ticks off until `seconds` from now have passed.

        An interval whose first tick would then come more than `patience_s` later has one before
        it, at that very moment, which is no multiple of the interval. So it is with those of a
        `change` as long as no tick was taken.
        """
        after = self._now() + int(seconds * 1e9) + _NS_PER_MS - 1
        self._earliest = after // _NS_PER_MS * _NS_PER_MS
        self._patience = None if patience_s is None else int(patience_s * 1e9)
        self._plan(self._earliest - 1)

    def change(self, intervals_ms: Iterable[int], after_ms: int) -> int:
        """Go on with the ticks of other intervals.

        `after_ms` is the newest poll there is. Returns the boundary, in ms: what is due after it is
        of the new intervals. It is now, but before the next tick of an old one, which is a new
        one's if it has come meanwhile, and neither before the newest poll nor before the boundary of
        the last change: up to that, ticks were counted already.
        """
        after_ms = max(after_ms, self._boundary_ms)
        behind = max(0, after_ms * _NS_PER_MS - self._now())
        self._offset += behind  # a small step back was followed: as at a start, it no longer is
        self._seen += behind
        self._boundary_ms = min(self._seen, self._next() - 1) // _NS_PER_MS
        self._begin(intervals_ms)
        self._plan(max(self._boundary_ms * _NS_PER_MS, self._earliest - 1))
        return self._boundary_ms

    def take(self) -> list[Tick]:
        """The ticks that are due, in the order of their times, then of intervals. Each is given once."""
        now = self._now()
        due = [due for due in self._dues if now >= due.at]
        if due:
            self._floor = self._offset - self._shortest // 2
            self._patience = None
        ticks = [one.tick(now, self._stepped) for one in due]
        return sorted(ticks, key=lambda tick: (tick.timestamp_ms, tick.interval_ms))

    def _begin(self, intervals_ms: Iterable[int]) -> None:
        self._dues = [_Due(interval_ms * _NS_PER_MS, self._stepped) for interval_ms in intervals_ms]
        self._shortest = min(due.interval for due in self._dues)
        self._floor = self._offset - self._shortest // 2

    def _plan(self, after: int) -> None:
        for due in self._dues:
            due.at = due.next_after(after)
            if self._patience is not None and due.at > after + self._patience:
                due.at = (after // _NS_PER_MS + 1) * _NS_PER_MS

    def _next(self) -> int:
        return min(due.at for due in self._dues)

    def _now(self) -> int:
        # In this order a pause of the process between the two looks like a step back, which the
        # next look undoes; the other way round it would look like one forward, and stay.
        wall = self._wall_ns()
        monotonic = self._monotonic_ns()
        offset = wall - monotonic
        if offset > self._offset:
            self._stepped += offset - self._offset
            self._offset = offset
        elif offset >= self._floor or self._has_leapt(wall, offset):
            self._offset = offset
        self._seen = monotonic + self._offset
        return self._seen

    def _has_leapt(self, wall: int, offset: int) -> bool:
        """Whether the monotonic clock is to blame for a wall clock that seems to be set back.

        Then the wall clock has gone on since the last look, and the monotonic one by far more.
        """
        return wall >= self._seen and self._offset - offset > self._shortest


class _Due:
    """When one interval (ns) is due next. `stepped` is how far the clock had been set forward by then."""

    def __init__(self, interval: int, stepped: int) -> None:
        self.interval = interval
        self.at = 0
        self._stepped = stepped

    def next_after(self, moment: int) -> int:
        return (moment // self.interval + 1) * self.interval

    def tick(self, now: int, stepped: int) -> Tick:
        """The tick that is due at `now`; the next one is due after it."""
        current = max(self.at, now // self.interval * self.interval)
        missed = (current - self.at) // self.interval
        reason = None
        if missed:
            leapt = stepped - self._stepped >= self.interval
            reason = Reason.CLOCK if leapt else Reason.LATE
        self._stepped = stepped
        self.at = self.next_after(current)
        return Tick(current // _NS_PER_MS, self.interval // _NS_PER_MS, missed, reason)

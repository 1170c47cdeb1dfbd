"""When to poll: at whole multiples of the interval on the wall clock.

So hosts and restarts line up. The waiting itself is done on the monotonic clock, and the time of
day is the monotonic clock plus an offset, looked at anew at each tick:

- A clock set forward is followed at once; the ticks that never were are counted.
- A clock set back by less than half an interval since the last tick is followed: the next tick
  comes a little later, and at most an interval and a half after the last.
- A clock set back by more is not followed. Following it would stall polling until the time had
  come again, or send ticks that the server, which keeps nothing older than its newest, would drop
  without a word. The schedule goes on in its own time until the wall clock has caught up.
- A monotonic clock that leaps (a virtual host that was moved) changes nothing: the wall clock, which
  went on as it should, is followed.

The interval may change between two ticks. Up to a boundary all ticks are multiples of the old
interval, after it of the new one, so none is missed, none comes twice, and times grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NS_PER_MS: Final = 1_000_000


class Reason(StrEnum):
    """Why ticks were missed."""

    LATE = "late"
    CLOCK = "clock set forward or host suspended"


@dataclass(frozen=True, slots=True)
class Tick:
    """A time to poll, and the ticks that were missed just before it."""

    timestamp_ms: int
    missed: int = 0
    reason: Reason | None = None


class Schedule:
    """The ticks of one interval. Clocks (in ns) are handed in: `time.time_ns`, `time.monotonic_ns`.

    `after_ms` is the last tick that was polled before, if any: none at or before it comes again.
    """

    def __init__(
        self,
        interval_ms: int,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        after_ms: int = 0,
    ) -> None:
        self._interval = interval_ms * _NS_PER_MS
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset = max(wall_ns(), after_ms * _NS_PER_MS) - monotonic_ns()
        self._stepped = 0
        self._seen = monotonic_ns() + self._offset
        self._floor = self._offset - self._interval // 2
        self._earliest = 0
        self._due = self._next_after(max(self._now(), after_ms * _NS_PER_MS))

    def wait_s(self) -> float:
        """Seconds until the next tick; 0 if it is due."""
        return max(0, self._due - self._now()) / 1e9

    def ahead_ms(self) -> int:
        """How far this schedule's time runs ahead of a wall clock that was set back."""
        ahead = self._now() - self._wall_ns()
        return ahead // _NS_PER_MS if ahead > self._interval // 2 else 0

    def now_ms(self) -> int:
        """The time of day as this schedule has it."""
        return self._now() // _NS_PER_MS

    def skip_until(self, seconds: float) -> None:
        """Put the first tick off until `seconds` from now have passed."""
        self._earliest = self._now() + int(seconds * 1e9)
        self._due = max(self._due, self._next_after(self._earliest - 1))

    def change(self, interval_ms: int, after_ms: int) -> int:
        """Go on with the ticks of another interval.

        `after_ms` is the newest poll there is. Returns the boundary, in ms: what is due after it is
        of the new interval. It is now, but before the next tick of the old interval, which is the
        new one's if it has come meanwhile, and not before the newest poll.
        """
        behind = max(0, after_ms * _NS_PER_MS - self._now())
        self._offset += behind  # a small step back was followed: as at a start, it no longer is
        self._seen += behind
        self._interval = interval_ms * _NS_PER_MS
        self._floor = self._offset - self._interval // 2
        boundary_ms = min(self._seen, self._due - 1) // _NS_PER_MS
        self._due = self._next_after(max(boundary_ms * _NS_PER_MS, self._earliest - 1))
        return boundary_ms

    def take(self) -> Tick | None:
        """The tick that is due, or None if there is time yet. A tick is given once."""
        now = self._now()
        if now < self._due:
            return None
        current = now // self._interval * self._interval
        missed = (current - self._due) // self._interval
        reason = None
        if missed:
            reason = Reason.CLOCK if self._stepped >= self._interval else Reason.LATE
        self._stepped = 0
        self._floor = self._offset - self._interval // 2
        self._due = current + self._interval
        return Tick(current // _NS_PER_MS, missed, reason)

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
        return wall >= self._seen and self._offset - offset > self._interval

    def _next_after(self, moment: int) -> int:
        return (moment // self._interval + 1) * self._interval

"""When to poll: at whole multiples of each interval on the wall clock.

So the ticks of hosts and of restarts line up, and those of different intervals coincide where they
can. The schedule waits by the monotonic clock. It keeps the offset of the wall clock to it, and
checks the offset at each tick:

- A wall clock set forward is followed at once. The skipped ticks are counted as missed.
- A wall clock set back by less than half of the (shortest) interval since the last tick is
  followed: the next tick comes a little later, at most an interval and a half after the last one.
- A wall clock set back by more is not followed. Otherwise polling would stall until that time comes
  again, or the server would silently drop the polls, since it keeps nothing older than its newest.
  The schedule keeps its own time until the wall clock has caught up.
- A jump of the monotonic clock (a virtual host that was moved) changes nothing: the wall clock is
  followed.

The intervals may change between two ticks. Up to a boundary all ticks are multiples of the old
intervals, after it of the new ones. So no tick is missed or repeated, and times increase.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import CLOCK_LEAPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NS_PER_MS: Final = 1_000_000


class Reason(StrEnum):
    """Why ticks were missed."""

    LATE = "late"
    CLOCK = CLOCK_LEAPED


@dataclass(frozen=True, slots=True)
class Tick:
    """A time to poll the group of an interval, and the number of its ticks missed just before."""

    timestamp_ms: int
    interval_ms: int
    missed: int = 0
    reason: Reason | None = None


class Schedule:
    """The ticks of some intervals, by two clocks like `time.time_ns` and `time.monotonic_ns`.

    `after_ms` is the newest earlier tick, if any: ticks begin after it.
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
        self._longest_wait: int | None = None
        self._dues: list[_Due] = []
        self._shortest = self._floor = 0
        self._begin(intervals_ms)
        self._plan(max(self._now(), after_ms * _NS_PER_MS))

    def wait_s(self) -> float:
        """Return the seconds until the next tick, 0 if one is due."""
        return max(0, self._next() - self._now()) / 1e9

    def skip_until(self, seconds: float, longest_wait_s: float | None = None) -> None:
        """Begin the ticks `seconds` from now.

        An interval whose first tick would come more than `longest_wait_s` after that has an extra
        tick at that moment, which is no multiple of the interval. This also applies to the
        intervals of a `change`, as long as no tick was taken.
        """
        after = self._now() + int(seconds * 1e9) + _NS_PER_MS - 1
        self._earliest = after // _NS_PER_MS * _NS_PER_MS
        self._longest_wait = None if longest_wait_s is None else int(longest_wait_s * 1e9)
        self._plan(self._earliest - 1)

    def change(self, intervals_ms: Iterable[int], after_ms: int) -> int:
        """Continue with the ticks of other intervals.

        `after_ms` is the time of the newest poll. Returns the boundary in ms: ticks after it are
        those of the new intervals. The boundary is now, but before the next tick of an old
        interval: if that is due by now, it belongs to the new intervals. The boundary is never
        before the newest poll, nor before the boundary of the last change, up to which ticks are
        counted.
        """
        after_ms = max(after_ms, self._boundary_ms)
        behind = max(0, after_ms * _NS_PER_MS - self._now())
        self._offset += behind  # a small step back was followed; as at a start, undo that
        self._seen += behind
        self._boundary_ms = min(self._seen, self._next() - 1) // _NS_PER_MS
        self._begin(intervals_ms)
        self._plan(max(self._boundary_ms * _NS_PER_MS, self._earliest - 1))
        return self._boundary_ms

    def take(self) -> list[Tick]:
        """Return the ticks that are due, by time and interval. Each is returned once."""
        now = self._now()
        due = [due for due in self._dues if now >= due.at]
        if due:
            self._floor = self._offset - self._shortest // 2
            self._longest_wait = None
        ticks = [one.tick(now, self._stepped) for one in due]
        return sorted(ticks, key=lambda tick: (tick.timestamp_ms, tick.interval_ms))

    def _begin(self, intervals_ms: Iterable[int]) -> None:
        self._dues = [_Due(interval_ms * _NS_PER_MS, self._stepped) for interval_ms in intervals_ms]
        self._shortest = min(due.interval for due in self._dues)
        self._floor = self._offset - self._shortest // 2

    def _plan(self, after: int) -> None:
        for due in self._dues:
            due.at = due.next_after(after)
            if self._longest_wait is not None and due.at > after + self._longest_wait:
                due.at = (after // _NS_PER_MS + 1) * _NS_PER_MS

    def _next(self) -> int:
        return min(due.at for due in self._dues)

    def _now(self) -> int:
        # In this order, a pause of the process between the two calls looks like a step back, which
        # the next call undoes. The other way round it would look like a step forward, and remain.
        wall = self._wall_ns()
        monotonic = self._monotonic_ns()
        offset = wall - monotonic
        if offset > self._offset:
            self._stepped += offset - self._offset
            self._offset = offset
        elif offset >= self._floor or self._has_monotonic_jumped(wall, offset):
            self._offset = offset
        self._seen = monotonic + self._offset
        return self._seen

    def _has_monotonic_jumped(self, wall: int, offset: int) -> bool:
        """Whether the wall clock seems to be set back only because the monotonic clock has jumped.

        Then the wall clock has advanced since the last call, and the monotonic clock by far more.
        """
        return wall >= self._seen and self._offset - offset > self._shortest


class _Due:
    """When an interval is due next, in ns.

    `stepped` is the sum of all steps forward of the wall clock until then.
    """

    def __init__(self, interval: int, stepped: int) -> None:
        self.interval = interval
        self.at = 0
        self._stepped = stepped

    def next_after(self, moment: int) -> int:
        return (moment // self.interval + 1) * self.interval

    def tick(self, now: int, stepped: int) -> Tick:
        """Return the tick that is due at `now`, and move on to the next one."""
        current = max(self.at, now // self.interval * self.interval)
        missed = (current - self.at) // self.interval
        reason = None
        if missed:
            was_set = stepped - self._stepped >= self.interval
            reason = Reason.CLOCK if was_set else Reason.LATE
        self._stepped = stepped
        self.at = self.next_after(current)
        return Tick(current // _NS_PER_MS, self.interval // _NS_PER_MS, missed, reason)

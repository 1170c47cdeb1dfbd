"""The logging handler of a process, and the filter that collapses repeated lines.

The first of equal lines is written at once. The number of repetitions is written after five
seconds, a minute, ten minutes, and then every hour while it goes on. A line that was not repeated
for ten minutes counts as new.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pattoo_mp.log.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pattoo_mp.log.outlets import Outlet
    from pattoo_mp.log.rotation import Rotation

#: The times after which repetitions are counted, in seconds.
WINDOWS_S: Final = (5.0, 60.0, 600.0, 3600.0)
#: After this time without a repetition, a line counts as new.
_QUIET_S: Final = 600.0
#: How many different lines are remembered. Beyond that, the count of the oldest is written early.
_KEPT: Final = 64
#: The shortest time between two wake-ups of an idle process for its log.
_WAKE_S: Final = 5.0
#: When to retry an outlet that lost lines, if nothing is logged meanwhile.
_RETRY_S: Final = 60.0

_Key = tuple[str, int, str, str]


class Handler(logging.Handler):
    """Writes records at once, and counts of repeated and lost lines later, after SIGALRM.

    `key` identifies the settings that the handler was made for.
    """

    def __init__(
        self,
        outlets: Sequence[Outlet],
        repeats: RepeatFilter,
        rotation: Rotation,
        key: object = None,
    ) -> None:
        super().__init__()
        self.rotation = rotation
        self.key = key
        self._outlets = outlets
        self._repeats = repeats
        self._alarm_at: float | None = None
        self._woken_at = -_WAKE_S
        self._pid = os.getpid()

    def take_over(self, former: Handler) -> None:
        """Take over the unreported losses of the handler that this one replaces in this process."""
        if former._pid == self._pid:
            for ours, theirs in zip(self._outlets, former._outlets, strict=False):
                ours.take_over(theirs)
        self._set_alarm()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, count it as a repetition, or count it as lost."""
        self._put(self._repeats.take(Line.of(record)))
        self._set_alarm()

    def write_due(self) -> None:
        """Write the counts that are due by now."""
        with self._held():
            self._woken_at, self._alarm_at = time.monotonic(), None
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._put(self._repeats.due())
            for outlet in self._outlets:
                outlet.report_lost()
            self._set_alarm()

    def write_counts(self) -> None:
        """Write all counts now."""
        with self._held():
            self._put(self._repeats.counts())

    def reopen(self) -> None:
        """Reopen files that may have been renamed."""
        with self._held():
            for outlet in self._outlets:
                outlet.reopen()

    def close(self) -> None:
        """Write every count and close. A fork writes none, since its parent will."""
        with self._held():
            if self._pid == os.getpid():
                self._put(self._repeats.clear())
            for outlet in self._outlets:
                outlet.close()
        super().close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _put(self, lines: Iterable[Line]) -> None:
        for line in lines:
            for outlet in self._outlets:
                outlet.put(line)

    def _set_alarm(self) -> None:
        """Set a timer for SIGALRM if a count is due later: nothing may be logged until then."""
        moments = [] if self._repeats.next_at is None else [self._repeats.next_at]
        if any(outlet.lost for outlet in self._outlets):
            moments.append(time.monotonic() + _RETRY_S)
        if not moments:
            return
        at = max(min(moments), self._woken_at + _WAKE_S)
        if self._alarm_at is None or at < self._alarm_at:
            self._alarm_at = at
            # It repeats, since a starting process may not handle signals yet.
            signal.setitimer(signal.ITIMER_REAL, max(at - time.monotonic(), 0.001), _WAKE_S)


@dataclass(slots=True)
class _Repetition:
    """A repeated line: the last one, and the number of repetitions since `began`."""

    last: Line
    seen: float
    began: float
    ends: float
    window: int = 0
    count: int = 0


class RepeatFilter:
    """Decides which lines are written. Counts are written after `windows_s`, one after another.

    Without windows every line is written. `monotonic` and `wall` are the clocks.
    """

    def __init__(
        self,
        windows_s: Sequence[float] = WINDOWS_S,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._windows_s = windows_s
        self._monotonic = monotonic
        self._wall = wall
        self._known: dict[_Key, _Repetition] = {}

    def take(self, line: Line) -> list[Line]:
        """Return the lines to write now that `line` was logged."""
        if not self._windows_s:
            return [line]
        now = self._monotonic()
        key = (line.logger, line.level, line.kind, line.traceback)
        known = self._known.get(key)
        if known is None or now > known.seen + _QUIET_S:
            return self._begin(key, line, now)
        counts = self._close(known, now) if now >= known.ends else []
        if not known.count:
            known.ends = max(known.ends, now + self._windows_s[known.window])
        known.last, known.seen = line, now
        known.count += 1
        return counts

    def due(self) -> list[Line]:
        """Return the counts that are due."""
        now = self._monotonic()
        return [
            line
            for known in self._known.values()
            if now >= known.ends
            for line in self._close(known, now)
        ]

    def counts(self) -> list[Line]:
        """Return all counts, due or not."""
        now = self._monotonic()
        return [line for known in self._known.values() for line in self._close(known, now)]

    def clear(self) -> list[Line]:
        """Return all counts, and forget every line."""
        counts = self.counts()
        self._known.clear()
        return counts

    @property
    def next_at(self) -> float | None:
        """When the next count is due (`time.monotonic`); None if there is none."""
        return min((known.ends for known in self._known.values() if known.count), default=None)

    def _begin(self, key: _Key, line: Line, now: float) -> list[Line]:
        """Remember a new line; forget the oldest if there are too many."""
        leaving = self._known.pop(key, None)
        if leaving is None and len(self._known) >= _KEPT:
            leaving = self._known.pop(next(iter(self._known)))
        counts = self._close(leaving, now) if leaving is not None else []
        self._known[key] = _Repetition(line, now, now, now + self._windows_s[0])
        return [*counts, line]

    def _close(self, known: _Repetition, now: float) -> list[Line]:
        """Return the count of the current window, if any, and begin a longer window."""
        if not known.count:
            return []
        line = replace(
            known.last,
            created=self._wall(),
            last=known.last.created,
            repeated=known.count,
            within_s=max(1, round(now - known.began)),
        )
        known.window = min(known.window + 1, len(self._windows_s) - 1)
        known.began, known.ends, known.count = now, now + self._windows_s[known.window], 0
        return [line]

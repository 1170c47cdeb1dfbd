"""The one handler of a process: collapses what repeats, and hands the rest to each outlet."""

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


#: An idle process is woken for its log no more often than this.
_WAKE_S: Final = 5.0
#: How long to leave an outlet alone that took nothing, if nothing is logged meanwhile.
_RETRY_S: Final = 60.0


class Handler(logging.Handler):
    """Writes records, and what is due later (counts, lost lines) when SIGALRM asks for it."""

    def __init__(
        self,
        outlets: Sequence[Outlet],
        repeats: Repeats,
        rotation: Rotation,
        purpose: object = None,
    ) -> None:
        super().__init__()
        self.rotation = rotation
        #: What it was made for.
        self.purpose = purpose
        self._outlets = outlets
        self._repeats = repeats
        self._alarm_at: float | None = None
        self._woken_at = -_WAKE_S
        self._pid = os.getpid()

    def take_over(self, former: Handler) -> None:
        """Go on where another one of this process cannot: what it could not write is still to be told."""
        if former._pid == self._pid:
            for ours, theirs in zip(self._outlets, former._outlets, strict=False):
                ours.take_over(theirs)
        self._set_alarm()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, count it as a repetition, or count it as lost."""
        self._put(self._repeats.take(Line.of(record)))
        self._set_alarm()

    def tend(self) -> None:
        """Write what is due by now."""
        with self._held():
            self._woken_at, self._alarm_at = time.monotonic(), None
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._put(self._repeats.due())
            for outlet in self._outlets:
                outlet.tell_lost()
            self._set_alarm()

    def tell_counts(self) -> None:
        """Write all counts now."""
        with self._held():
            self._put(self._repeats.counts())

    def reopen(self) -> None:
        """Open anew what may have been renamed."""
        with self._held():
            for outlet in self._outlets:
                outlet.reopen()

    def close(self) -> None:
        """Tell every count, and let go. In a fork nothing is told: it is the parent's to tell."""
        with self._held():
            if self._pid == os.getpid():
                self._put(self._repeats.rest())
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
        """Ask for SIGALRM when something is due although nothing is logged until then."""
        moments = [] if self._repeats.next_at is None else [self._repeats.next_at]
        if any(outlet.lost for outlet in self._outlets):
            moments.append(time.monotonic() + _RETRY_S)
        if not moments:
            return
        at = max(min(moments), self._woken_at + _WAKE_S)
        if self._alarm_at is None or at < self._alarm_at:
            self._alarm_at = at
            # Again and again until it is heard: a process that starts may not listen yet.
            signal.setitimer(signal.ITIMER_REAL, max(at - time.monotonic(), 0.001), _WAKE_S)


# Collapses lines that come again and again: the first goes out at once, then how often it came.
#
# The count of the same is told after five seconds, then after a minute, ten minutes, and every hour
# as long as it goes on. What did not come for ten minutes is news once more.

WINDOWS_S: Final = (5.0, 60.0, 600.0, 3600.0)
#: What did not come for so long is news.
_QUIET_S: Final = 600.0
#: So many different lines are remembered. With more at a time, the longest known is told early.
_KEPT: Final = 64

_Key = tuple[str, int, str, str]


@dataclass(slots=True)
class _Series:
    """The same line, again and again: the last one, and how often it came since `began`."""

    last: Line
    seen: float
    began: float
    ends: float
    window: int = 0
    count: int = 0


class Repeats:
    """Says which lines go out. `windows_s` are the times, ever longer, after which counts do.

    Without such times each line goes out. Clocks are handed in: `time.monotonic`, `time.time`.
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
        self._known: dict[_Key, _Series] = {}

    def take(self, line: Line) -> list[Line]:
        """What goes out now that `line` has come."""
        if not self._windows_s:
            return [line]
        now = self._monotonic()
        key = (line.logger, line.level, line.kind, line.traceback)
        known = self._known.get(key)
        if known is None or now > known.seen + _QUIET_S:
            return self._begin(key, line, now)
        told = self._close(known, now) if now >= known.ends else []
        if not known.count:
            known.ends = max(known.ends, now + self._windows_s[known.window])
        known.last, known.seen = line, now
        known.count += 1
        return told

    def due(self) -> list[Line]:
        """The counts whose time has come."""
        now = self._monotonic()
        return [
            line
            for known in self._known.values()
            if now >= known.ends
            for line in self._close(known, now)
        ]

    def counts(self) -> list[Line]:
        """All counts, whether their time has come or not."""
        now = self._monotonic()
        return [line for known in self._known.values() for line in self._close(known, now)]

    def rest(self) -> list[Line]:
        """All counts; nothing is remembered any more."""
        told = self.counts()
        self._known.clear()
        return told

    @property
    def next_at(self) -> float | None:
        """When (`time.monotonic`) the next count is due; None if there is none to tell."""
        return min((known.ends for known in self._known.values() if known.count), default=None)

    def _begin(self, key: _Key, line: Line, now: float) -> list[Line]:
        """Remember a line that is news; the one that has been known for longest makes room."""
        leaving = self._known.pop(key, None)
        if leaving is None and len(self._known) >= _KEPT:
            leaving = self._known.pop(next(iter(self._known)))
        told = self._close(leaving, now) if leaving is not None else []
        self._known[key] = _Series(line, now, now, now + self._windows_s[0])
        return [*told, line]

    def _close(self, known: _Series, now: float) -> list[Line]:
        """The count of a window, if there is one; then a longer window begins."""
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

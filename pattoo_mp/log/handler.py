"""The one handler of a process: collapses what repeats, and hands the rest to each outlet."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pattoo_mp.log.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pattoo_mp.log.outlets import Outlet
    from pattoo_mp.log.repeats import Repeats
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

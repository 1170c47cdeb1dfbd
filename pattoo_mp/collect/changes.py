"""Logs what changes from poll to poll: devices that come and go, and what is left out.

On a host that changes all the time, a line for each change would say nothing and fill the log. So
a change is logged at once, and those of the minute after it in one line.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from pattoo_mp.model import Layout, Pair, Series

    Clock = Callable[[], float]

_QUIET_S: Final = 60.0
#: The largest number of new or lost devices that one line of the log names.
_NAMED: Final = 20
#: The largest number of names that are remembered until they are logged.
_REMEMBERED: Final = 1000
#: The largest number of sources and devices that the status lists as left out.
_LISTED: Final = 100
#: The largest number of lines in a minute about what is left out.
_LINES: Final = 20


class LayoutLog:
    """Logs layouts of one poller, at most one change a minute. `clock` is monotonic (s)."""

    def __init__(self, logger: logging.Logger, clock: Clock = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._logged: Sequence[Series] = ()
        self._newest: Sequence[Series] = ()
        self._changes = 0
        self._names: set[Pair] = set()
        self._next_s = float("-inf")

    def changed(self, layout: Layout, names: Callable[[], set[Pair]]) -> None:
        """Note a new layout. `names` returns the metadata of what came and what went."""
        self._newest = layout.series
        if not self._logged:
            self._logger.info("A poll has %s.", counted(len(layout.series), "datapoint"))
            self._logged = layout.series
            return
        self._changes += 1
        if self._clock() < self._next_s and len(self._names) < _REMEMBERED:
            self._names |= names()
        self.log_if_due()

    def log_if_due(self) -> None:
        """Log the changes that were noted, if the last line is old enough."""
        if not self._changes:
            return
        now = self._clock()
        if now < self._next_s:
            return
        old, new = _pairs(self._logged), _pairs(self._newest)
        parts = {
            "new": new - old,
            "gone": old - new,
            "came and went": self._names - old - new,
        }
        self._logger.info(
            "A poll has %s%s%s.",
            counted(len(self._newest), "datapoint"),
            "".join(f"; {what}: {_text(sorted(some))}" for what, some in parts.items() if some),
            f"; {self._changes} changes in the last minute" if self._changes > 1 else "",
        )
        self._logged, self._next_s = self._newest, now + _QUIET_S
        self._changes = 0
        self._names = set()


class LeftOutLog:
    """Logs each part once when it is left out, and once when it is back; not too many of them."""

    def __init__(self, logger: logging.Logger, clock: Clock = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._lines = 0
        self._more = 0
        self._until_s = float("-inf")

    def changed(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Log the difference of two polls: names of what is left out, with the reason."""
        for name in now.keys() - before.keys():
            if self._has_room():
                self._logger.warning("%s is left out of the polls: %s", name, now[name])
        for name in before.keys() - now.keys():
            if self._has_room():
                self._logger.info("%s is no longer left out.", name)

    def log_if_due(self) -> None:
        """Log how many lines were too many, once their minute is over."""
        if self._more and self._clock() >= self._until_s:
            self._logger.warning(
                "%d more sources or devices were left out of the polls, or were back, in the last "
                "minute; --status lists what is left out.",
                self._more,
            )
            self._more = 0

    def _has_room(self) -> bool:
        now = self._clock()
        if now >= self._until_s:
            self.log_if_due()
            self._until_s, self._lines = now + _QUIET_S, 0
        self._lines += 1
        if self._lines > _LINES:
            self._more += 1
        return self._lines <= _LINES


def shortened(left_out: dict[str, str]) -> dict[str, str]:
    """Return the first of what is left out, and a number for the rest, for the status."""
    more = len(left_out) - _LISTED
    if more <= 0:
        return left_out
    first = dict(islice(left_out.items(), _LISTED))
    return {**first, "others": f"{more} more sources or devices; --once lists all of them"}


def _pairs(series: Sequence[Series]) -> set[Pair]:
    """Return all metadata: among them the names of disks, mounts and interfaces."""
    return {pair for one in series for pair in one.metadata}


def _text(pairs: Sequence[Pair]) -> str:
    """Return the first of them and the number of the others: it must fit in one line."""
    first = ", ".join(f"{key} {value}" for key, value in pairs[:_NAMED])
    return f"{first} and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else first

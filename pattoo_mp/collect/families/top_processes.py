"""The programs that use the most processor time and memory.

A program is all processes of one name. The name never includes the arguments, which may contain
passwords. Each new name makes new series on the server, so `NameSlots` limits how many names are
polled and how fast they change.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families._processes import (
    UNREADABLE,
    UNREADABLE_ONES,
    WHY_UNREADABLE,
    running,
)
from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Series, Value

# fmt: off
_TOP: Final = Table(
    "top_processes", "Top processes", "top_processes_", INTEGER,
    (
        Metric("cpu", FLOAT, "percent", "Processor Share of a Program",
               "Processor time of its processes since the last poll, in percent of one processor."),
        Metric("memory", INTEGER, "bytes", "Memory of a Program",
               "Resident memory of its processes; shared memory counts for each of them."),
        Metric("count", INTEGER, "processes", "Processes of a Program",
               "Number of its processes."),
    ),
    (Label("top_processes_name", "Program", "Its name, which the kernel cuts to 15 characters.", prometheus="program"),),
)
# fmt: on

TABLES: Final = (_TOP,)

#: Name slots for each program that the setting `top_processes` requests.
_SLOTS_PER_PROGRAM: Final = 4
_HOUR_S: Final = 3600.0
#: A program below this share of one processor is never a top one. On a quiet host any would be.
_MIN_PERCENT: Final = 2.0


@dataclass(slots=True)
class Usage:
    """What all processes of one name use: clock ticks since the last scan, pages, processes."""

    ticks: int = 0
    pages: int = 0
    count: int = 0


class NameSlots:
    """The `names` that are polled: at most `capacity` at a time, and as many new ones per hour."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._last_at_top: dict[str, float] = {}
        self._arrivals: deque[float] = deque(maxlen=capacity)
        self._refused_until = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """In order of arrival."""
        return tuple(self._last_at_top)

    def update(self, top: Collection[str], now: float) -> bool:
        """Add the names in `top` at the time `now` (s). Return False if one was refused this hour.

        A new name replaces the one that has been below the top for longest.
        """
        for name in top:
            if name in self._last_at_top or self._make_room(top, now):
                self._last_at_top[name] = now
            else:
                self._refused_until = now + _HOUR_S
        return now >= self._refused_until

    def _make_room(self, top: Collection[str], now: float) -> bool:
        if len(self._arrivals) == self.capacity and now - self._arrivals[0] < _HOUR_S:
            return False
        self._arrivals.append(now)
        if len(self._last_at_top) == self.capacity:
            below = (name for name in self._last_at_top if name not in top)
            del self._last_at_top[min(below, key=lambda name: self._last_at_top[name])]
        return True


class UsageTracker:
    """What each program used between two scans of all processes."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], int] | None = None

    def usage(self, found: Iterable[Process]) -> dict[str, Usage]:
        """Return the usage by name, given the processes now. The first time, all ticks are 0."""
        before, now = self._before, {}
        programs: dict[str, Usage] = {}
        for process in found:
            identity = (process.pid, process.started)
            now[identity] = process.busy
            usage = programs.setdefault(process.name, Usage())
            # A process that is new since the last scan has used all of its time since then.
            since = process.busy if before is None else before.get(identity, 0)
            usage.ticks += max(0, process.busy - since)
            usage.pages += process.resident
            usage.count += 1
        self._before = now
        return programs


class TopProcesses:
    """A source of the `top` programs by processor, the `top` by memory, and recent top ones."""

    name = _TOP.name

    def __init__(
        self,
        top: int,
        scan: Callable[[], Iterable[Process]] = running,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._top = top
        self._scan = scan
        self._monotonic = monotonic
        self._tracker = UsageTracker()
        self._slots = NameSlots(_SLOTS_PER_PROGRAM * top)
        self._scanned_at = monotonic()

    def read(self) -> Sample:
        """Scan all processes. Raises `PermissionError` if the kernel hides some."""
        before, self._scanned_at = self._scanned_at, self._monotonic()
        seconds = self._scanned_at - before
        found = tuple(self._scan())
        readable = [process for process in found if process.state != UNREADABLE]
        usage = self._tracker.usage(readable)
        left_out = {}
        if len(readable) < len(found):
            left_out[f"{self.name} {UNREADABLE_ONES}"] = WHY_UNREADABLE
        if not self._slots.update(top_names(usage, self._top, seconds), self._scanned_at):
            why = f"at most {self._slots.capacity} new names are polled in an hour"
            left_out[f"{self.name} more of them"] = why
        names = self._slots.names
        values = [value for name in names for value in _figures(usage.get(name), seconds)]
        return Sample(names, values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return a series for each figure of each name."""
        (label,) = _TOP.labels
        return [
            _TOP.series(metric.name, (*host, (label.key, name)))
            for name in shape
            for metric in _TOP.metrics
        ]


def top_names(usage: Mapping[str, Usage], number: int, seconds: float) -> list[str]:
    """Return the `number` busiest programs over `seconds`, then the `number` largest in memory."""
    by_time = nlargest(number, usage, lambda name: usage[name].ticks)
    busy = [name for name in by_time if _percent(usage[name], seconds) >= _MIN_PERCENT]
    return list(dict.fromkeys([*busy, *nlargest(number, usage, lambda name: usage[name].pages)]))


def _percent(usage: Usage, seconds: float) -> float:
    return 100 * usage.ticks / os.sysconf("SC_CLK_TCK") / seconds if seconds > 0 else 0.0


def _figures(usage: Usage | None, seconds: float) -> tuple[Value, Value, Value]:
    """Return processor share, memory and count: all 0 for a program that is not running."""
    if usage is None:
        return 0.0, 0, 0
    bytes_held = usage.pages * os.sysconf("SC_PAGE_SIZE")
    return round(_percent(usage, seconds), 1), bytes_held, usage.count


def sources(plan: Plan) -> tuple[Source, ...]:
    """The top programs. Finding them reads a file for each process."""
    _, scan = plan.processes
    return (TopProcesses(plan.filters.top, scan),)

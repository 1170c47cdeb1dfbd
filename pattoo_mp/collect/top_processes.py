"""The processes that take most of the processors and of memory, by name.

By the name of the program alone, never with its arguments: those hold passwords. All processes of a
name count as one. Names come and go, and each new one makes new series on the server; `Places`
bounds how many there are.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import processes
from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pattoo_mp.collect.plan import Plan
    from pattoo_mp.collect.processes import Process
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Series, Value

# fmt: off
_TOP: Final = Table(
    "top_processes", "Top processes", "top_processes_", INTEGER,
    (
        Metric("cpu", FLOAT, "percent", "Processor Share of a Program",
               "Time that its processes took since the poll before, in percent of one processor."),
        Metric("memory", INTEGER, "bytes", "Memory of a Program",
               "Memory that its processes hold; what several share counts for each."),
        Metric("count", INTEGER, "processes", "Processes of a Program",
               "Its processes."),
    ),
    (Label("top_processes_name", "Program", "Its name, cut to 15 letters by the kernel."),),
)
# fmt: on

TABLES: Final = (_TOP,)

#: So many names for each that is asked for are polled at most, and one that makes room for another
#: has been below the top for so long: an hour brings no more new names than there are places.
_PLACES: Final = 4
_STAY_S: Final = 3600.0


@dataclass(slots=True)
class Usage:
    """What all processes of one name take: clock ticks since the look before, pages, processes."""

    ticks: int = 0
    pages: int = 0
    count: int = 0


@dataclass(slots=True)
class Places:
    """The names that are polled. `last` is when each of them was last among the top, in seconds."""

    most: int
    last: dict[str, float] = field(default_factory=dict)
    _refused_until: float = 0.0

    def update(self, top: Iterable[str], now: float) -> bool:
        """Note who is at the top at a time. Whether all of them had room, of late."""
        for name in top:
            if name not in self.last and not self._has_room(now):
                self._refused_until = now + _STAY_S
            else:
                self.last[name] = now
        return now >= self._refused_until

    def _has_room(self, now: float) -> bool:
        if len(self.last) < self.most:
            return True
        oldest = min(self.last, key=lambda name: self.last[name])
        if now - self.last[oldest] < _STAY_S:
            return False
        del self.last[oldest]
        return True


class Looks:
    """What each program took between two looks at all processes."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], int] | None = None

    def usage(self, found: Iterable[Process]) -> dict[str, Usage]:
        """The usage by name. At first nobody has taken any time."""
        before, now = self._before, {}
        programs: dict[str, Usage] = {}
        for process in found:
            identity = (process.pid, process.started)
            now[identity] = process.busy
            usage = programs.setdefault(process.name, Usage())
            # One that was not there before took all of its time since.
            since = process.busy if before is None else before.get(identity, 0)
            usage.ticks += max(0, process.busy - since)
            usage.pages += process.resident
            usage.count += 1
        self._before = now
        return programs


class TopProcesses:
    """The `top` programs by processor and the `top` by memory, and those that lately were."""

    name = _TOP.name

    def __init__(self, top: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._top = top
        self._monotonic = monotonic
        self._looks = Looks()
        self._places = Places(_PLACES * top)
        self._at = monotonic()

    def read(self) -> Sample:
        """Look at all processes."""
        usage = self._looks.usage(processes.running())
        at, seconds = self._monotonic(), self._monotonic() - self._at
        self._at = at
        left_out = {}
        if not self._places.update(top_of(usage, self._top), at):
            left_out[f"{self.name} more names"] = (
                f"there is room for {self._places.most} in an hour"
            )
        names = tuple(self._places.last)
        values = [value for name in names for value in _figures(usage.get(name), seconds)]
        return Sample(names, values, left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each name."""
        (label,) = _TOP.labels
        return [
            _TOP.series(metric.name, (*host, (label.key, name)))
            for name in shape
            for metric in _TOP.metrics
        ]


def top_of(usage: dict[str, Usage], number: int) -> list[str]:
    """The names of those that took most time, if they took any, and of those that hold most memory."""
    busy = [name for name in nlargest(number, usage, lambda n: usage[n].ticks) if usage[name].ticks]
    large = nlargest(number, usage, lambda name: usage[name].pages)
    return list(dict.fromkeys([*busy, *large]))


def _figures(usage: Usage | None, seconds: float) -> tuple[Value, Value, Value]:
    """Of a program that does not run, that it takes nothing: its chart goes to 0, as it does."""
    if usage is None:
        return 0.0, 0, 0
    percent = 100 * usage.ticks / os.sysconf("SC_CLK_TCK") / seconds if seconds > 0 else 0.0
    return round(percent, 1), usage.pages * os.sysconf("SC_PAGE_SIZE"), usage.count


def sources(plan: Plan) -> tuple[Source, ...]:
    """Just one. It reads a file for each process."""
    return (TopProcesses(plan.wanted.top),)

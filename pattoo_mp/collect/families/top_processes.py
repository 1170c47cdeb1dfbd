"""The processes that take most of the processors and of memory, by name.

By the name of the program alone, never with its arguments: those hold passwords. All processes of a
name count as one. Names come and go, and each new one makes new series on the server; `Places`
bounds how many there are.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families._processes import running
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

#: So many names for each that is asked for are polled at most, and no more new ones in an hour.
_PLACES: Final = 4
_HOUR_S: Final = 3600.0
#: Who takes less of one processor is at the top of nothing: on a quiet host anybody would be.
_LEAST_PERCENT: Final = 2.0


@dataclass(slots=True)
class Usage:
    """What all processes of one name take: clock ticks since the look before, pages, processes."""

    ticks: int = 0
    pages: int = 0
    count: int = 0


class Places:
    """The `names` that are polled: at most `most` at a time, and as many new ones in an hour."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._last_at_top: dict[str, float] = {}
        self._arrivals: deque[float] = deque(maxlen=most)
        self._refused_until = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they came."""
        return tuple(self._last_at_top)

    def update(self, top: Collection[str], now: float) -> bool:
        """Note who is at the top at a time, in seconds. Whether all had room, in the last hour.

        A newcomer takes the place of who was longest not at the top.
        """
        for name in top:
            if name in self._last_at_top or self._take_in(top, now):
                self._last_at_top[name] = now
            else:
                self._refused_until = now + _HOUR_S
        return now >= self._refused_until

    def _take_in(self, top: Collection[str], now: float) -> bool:
        if len(self._arrivals) == self.most and now - self._arrivals[0] < _HOUR_S:
            return False
        self._arrivals.append(now)
        if len(self._last_at_top) == self.most:
            below = (name for name in self._last_at_top if name not in top)
            del self._last_at_top[min(below, key=lambda name: self._last_at_top[name])]
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

    def __init__(
        self,
        top: int,
        look: Callable[[], Iterable[Process]] = running,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._top = top
        self._look = look
        self._monotonic = monotonic
        self._looks = Looks()
        self._places = Places(_PLACES * top)
        self._at = monotonic()

    def read(self) -> Sample:
        """Look at all processes."""
        before, self._at = self._at, self._monotonic()
        seconds = self._at - before
        usage = self._looks.usage(self._look())
        left_out = {}
        if not self._places.update(top_of(usage, self._top, seconds), self._at):
            why = f"there is room for {self._places.most} new names in an hour"
            left_out[f"{self.name} more of them"] = why
        names = self._places.names
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


def top_of(usage: Mapping[str, Usage], number: int, seconds: float) -> list[str]:
    """The names of those that took most time of so many seconds, and of those with most memory."""
    by_time = nlargest(number, usage, lambda name: usage[name].ticks)
    busy = [name for name in by_time if _percent(usage[name], seconds) >= _LEAST_PERCENT]
    return list(dict.fromkeys([*busy, *nlargest(number, usage, lambda name: usage[name].pages)]))


def _percent(usage: Usage, seconds: float) -> float:
    return 100 * usage.ticks / os.sysconf("SC_CLK_TCK") / seconds if seconds > 0 else 0.0


def _figures(usage: Usage | None, seconds: float) -> tuple[Value, Value, Value]:
    """Of a program that does not run, that it takes nothing: its chart goes to 0, as it does."""
    if usage is None:
        return 0.0, 0, 0
    bytes_held = usage.pages * os.sysconf("SC_PAGE_SIZE")
    return round(_percent(usage, seconds), 1), bytes_held, usage.count


def sources(plan: Plan) -> tuple[Source, ...]:
    """It reads a file for each process."""
    _, look = plan.processes
    return (TopProcesses(plan.filters.top, look),)

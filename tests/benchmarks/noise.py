"""How far a figure can be believed: its spread over the windows, and the work of others meanwhile.

A window is disturbed if processes that do not belong to the run used more than `OTHER_WORK` of a
processor, or if the hypervisor kept that much from this machine. Disturbed windows do not count. A
figure is too noisy if fewer than half of the windows are left, or if its quartiles are too far apart.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from tests.support.usage import processor_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: In processors: kernel threads and the daemons of a host that rests take less.
OTHER_WORK: Final = 0.1
#: How far apart the quartiles may be, in parts of the median.
SPREAD: Final = 0.25
#: Fewer have no quartiles worth the name.
LEAST_WINDOWS: Final = 3
TOO_NOISY: Final = "too noisy"
_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """A median with its quartiles; `doubt` says why it cannot be believed, if so."""

    median: float
    low: float
    high: float
    doubt: str = ""

    def __format__(self, spec: str) -> str:
        """Return the median and, in brackets, the quartiles if they differ, in the format `spec`."""
        low, high = (f"{value:{spec}}" for value in (self.low, self.high))
        median = self.brief(spec)
        return median if self.doubt or low == high else f"{median} ({low} to {high})"

    def brief(self, spec: str) -> str:
        """Return the median alone."""
        return TOO_NOISY if self.doubt else f"{self.median:{spec}}"

    def times(self, factor: float) -> Figure:
        """Return the same figure in another unit."""
        return Figure(self.median * factor, self.low * factor, self.high * factor, self.doubt)


def figure(
    values: Sequence[float], disturbed: Sequence[bool] | None = None, *, floor: float = 0.0
) -> Figure:
    """Return the figure of the windows that are not disturbed.

    `floor` is a distance of the quartiles that is always close enough, in the unit of the values.
    """
    bad = disturbed or [False] * len(values)
    calm = [value for value, is_bad in zip(values, bad, strict=True) if not is_bad]
    if len(calm) < LEAST_WINDOWS or 2 * len(calm) < len(values):
        disturbance = f"other work disturbed {sum(bad)} of {len(bad)} windows"
        return Figure(0.0, 0.0, 0.0, disturbance if any(bad) else f"{len(bad)} windows are too few")
    low, median, high = statistics.quantiles(calm, n=4, method="inclusive")
    too_far = high - low > max(SPREAD * abs(median), floor)
    doubt = f"its quartiles are {low:.3g} and {high:.3g}" if too_far else ""
    return Figure(median, low, high, doubt)


def once(value: float, other: float) -> Figure:
    """Return the figure of a single measurement, during which others used `other` processors."""
    doubt = f"other work took {other:.2f} of a processor" if other > OTHER_WORK else ""
    return Figure(value, value, value, doubt)


@dataclass(frozen=True)
class Processors:
    """How the processors were used until now (seconds): a time, idle, and by this run."""

    at: float
    idle: float
    ours: float
    number: int

    def other_since(self, before: Processors) -> float:
        """Return how many processors anything but this run kept busy since `before`."""
        wall = self.at - before.at
        used = (self.idle - before.idle) + (self.ours - before.ours)
        return max(0.0, self.number - used / wall)


def processors(pids: Iterable[int] = ()) -> Processors:
    """Look at them now. This run is this process, its descendants, and `pids`."""
    alive = {
        os.getpid(),
        *pids,
        *(child.pid for child in psutil.Process().children(recursive=True)),
    }
    # What a child used until it ended is known from then on as that of the children waited for.
    reaped = os.times()
    ours = reaped.children_user + reaped.children_system
    for pid in alive:
        with suppress(OSError):  # it has just ended
            ours += processor_s(pid)
    idle, number = idle_s(Path("/proc/stat").read_text(), _PER_SECOND)
    return Processors(time.monotonic(), idle, ours, number)


def idle_s(text: str, per_second: int) -> tuple[float, int]:
    """Return from the text of /proc/stat the idle seconds of all processors, and their number.

    Waiting for input is idle, too. What the hypervisor stole is not (proc(5)).
    """
    rows = [row.split() for row in text.splitlines() if row.startswith("cpu")]
    each = [row for row in rows if row[0] != "cpu"]  # that one is of all
    return sum(int(row[4]) + int(row[5]) for row in each) / per_second, len(each)

"""Measure all subjects in the same windows of time, so that a disturbance affects all of them."""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.benchmarks.neighbour import Walked, neighbour
from tests.benchmarks.noise import OTHER_WORK, Figure, Processors, figure, once, processors
from tests.benchmarks.subjects import PEERS
from tests.benchmarks.system_calls import UncountedError, system_calls
from tests.support.usage import Usage, usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.subjects import Subject

#: Imports, first layouts and first posts do not count.
SETTLE_S: Final = 3.0
#: A window has at least so many polls.
LEAST_POLLS: Final = 2
#: Where in the interval windows begin and end: shortly before a tick of the agent, when little goes on.
_EDGE: Final = 0.9

#: A process: the subject's name and the process's, empty if it has only one.
Part = tuple[str, str]


@dataclass(frozen=True)
class Look:
    """All processes and the processors at one moment."""

    used: Mapping[Part, Usage]
    processors: Processors


@dataclass(frozen=True)
class Calls:
    """System calls a poll of each process, and how many processors other work used meanwhile.

    If there are none, `uncounted` says why; it is empty if nobody asked for them.
    """

    each: Mapping[Part, float] = field(default_factory=dict)
    other: float = 0.0
    uncounted: str = ""


@dataclass(frozen=True)
class Measured:
    """The results of a run. `absent` are the programs of others that did not start."""

    hz: float
    windows: Sequence[tuple[Look, Look]]
    datapoints: Mapping[str, int]
    calls: Calls = field(default_factory=Calls)
    walked: Walked | None = None
    absent: Sequence[str] = ()

    @property
    def other(self) -> list[float]:
        """How many processors other work used in each window."""
        return [after.processors.other_since(before.processors) for before, after in self.windows]

    @property
    def disturbed(self) -> list[bool]:
        """Which windows do not count."""
        return [other > OTHER_WORK for other in self.other]

    def processor_ms(self, name: str, process: str | None = None) -> Figure:
        """Return the processor time (ms a poll) of a subject, or of one of its processes."""
        return figure(self._each_ms(name, process), self.disturbed)

    def share(self, name: str) -> Figure:
        """Return the share of one processor that a subject uses."""
        each = [ms * self.hz / 1000 for ms in self._each_ms(name, None)]
        return figure(each, self.disturbed)

    def ratio(
        self, name: str, to: str, process: str | None = None, to_process: str | None = None
    ) -> Figure:
        """Return the processor time a poll relative to another subject in the same window.

        It is that of all processes of both, or of one of them each.
        """
        one, other = self._each_ms(name, process), self._each_ms(to, to_process)
        return figure([a / b for a, b in zip(one, other, strict=True)], self.disturbed)

    def more_ms(self, name: str, than: str) -> Figure:
        """Return the processor time (ms a poll) above another subject's in the same window."""
        one, other = self._each_ms(name, None), self._each_ms(than, None)
        more = [a - b for a, b in zip(one, other, strict=True)]
        # A difference of two large figures: what counts is how it compares with these.
        return figure(more, self.disturbed, floor=0.1 * statistics.median(other))

    def wakeups(self, name: str, process: str | None = None) -> Figure:
        """Return the wake-ups a poll."""
        return figure(self._each(name, process, "wakeups"), self.disturbed, floor=0.5)

    def faults(self, name: str, process: str | None = None) -> Figure:
        """Return the page faults a poll."""
        return figure(self._each(name, process, "faults"), self.disturbed, floor=1.0)

    def memory_mb(self, name: str, process: str | None = None) -> float:
        """Return the memory (PSS, MB), which other work does not change: the median of all windows."""
        return statistics.median(
            sum(after.used[part].memory_kb for part in self._parts(name, process)) / 1000
            for _, after in self.windows
        )

    def calls_of(self, name: str, process: str | None = None) -> Figure | None:
        """Return the system calls a poll; None if they were not counted."""
        if not self.calls.each:
            return None
        each = (self.calls.each[part] for part in self._parts(name, process))
        return once(sum(each), self.calls.other)

    def _parts(self, name: str, process: str | None) -> list[Part]:
        return [
            part
            for part in self.windows[0][0].used
            if part[0] == name and process in {None, part[1]}
        ]

    def _each_ms(self, name: str, process: str | None) -> list[float]:
        return [1000 * seconds for seconds in self._each(name, process, "processor_s")]

    def _each(self, name: str, process: str | None, what: str) -> list[float]:
        """Return how much a count grew in each window, a poll."""
        parts = self._parts(name, process)
        return [
            sum(
                getattr(after.used[part], what) - getattr(before.used[part], what) for part in parts
            )
            / (self.hz * (after.processors.at - before.processors.at))
            for before, after in self.windows
        ]


def measure(
    subjects: Sequence[Subject],
    hz: float,
    rounds: int,
    seconds: float,
    *,
    busy: bool = False,
    calls_s: float = 0.0,
) -> Measured:
    """Let all subjects run, beside the neighbour if `busy`, and sample their usage in `rounds` windows.

    A window takes `seconds`, and at least the time of `LEAST_POLLS`. The system calls are counted
    afterwards, for `calls_s` and at least as many polls, if that is not 0.
    """
    with running(subjects, hz, busy=busy) as (pids, walked):
        looks = list(watch(pids, hz, rounds, seconds))
        names = {name for name, _ in pids}
        datapoints = {each.name: each.datapoints for each in subjects if each.name in names}
        calls = _count(pids, hz, max(calls_s, LEAST_POLLS / hz)) if calls_s else Calls()
    absent = tuple(subject.name for subject in subjects if subject.name not in names)
    return Measured(hz, list(pairwise(looks)), datapoints, calls, walked, absent)


def _count(pids: Mapping[Part, int], hz: float, seconds: float) -> Calls:
    before = processors(pids.values())
    try:
        found = system_calls(pids, seconds)
    except UncountedError as error:
        return Calls(uncounted=str(error))
    other = processors(pids.values()).other_since(before)
    return Calls({part: each_s / hz for part, each_s in found.items()}, other)


@contextmanager
def running(
    subjects: Sequence[Subject], hz: float, *, busy: bool
) -> Iterator[tuple[dict[Part, int], Walked | None]]:
    """Run all subjects, and the neighbour if `busy`. Yield the processes, and what the neighbour did.

    It goes on without a program of others that does not start.
    """
    try:
        # Together, as some are ready only after some intervals.
        with ThreadPoolExecutor(len(subjects)) as pool:
            starts = list(pool.map(_started, subjects))
        present = [one for one, has_started in zip(subjects, starts, strict=True) if has_started]
        pids = {(s.name, part): pid for s in present for part, pid in s.processes().items()}
        with neighbour(hz, len(subjects)) if busy else nullcontext() as walked:
            yield pids, walked
    finally:
        for subject in subjects:
            subject.end()


def _started(subject: Subject) -> bool:
    try:
        subject.start()
    except (AssertionError, OSError) as error:
        if not isinstance(subject, PEERS):
            raise
        sys.stderr.write(f"{subject.name} does not start: {error}\n")
        return False
    return True


def watch(pids: Mapping[Part, int], hz: float, rounds: int, seconds: float) -> Iterator[Look]:
    """Yield a look at the beginning, and one at the end of each window."""
    window = max(seconds, LEAST_POLLS / hz)
    begin = time.time() + max(SETTLE_S, 1 / hz)
    begin = ((begin * hz) // 1 + _EDGE) / hz
    due = time.monotonic() + begin - time.time()
    for _ in range(rounds + 1):
        time.sleep(max(0.0, due - time.monotonic()))
        used = {part: usage(pid) for part, pid in pids.items()}
        yield Look(used, processors(pids.values()))
        due += window

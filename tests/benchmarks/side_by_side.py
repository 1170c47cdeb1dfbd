"""Measure all subjects in the same windows of time, so that a disturbance affects all of them."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.usage import Usage, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.subjects import Subject

#: Imports, first layouts and first posts do not count.
SETTLE_S = 3.0

Snapshot = dict[tuple[str, str], Usage]


@dataclass(frozen=True)
class Cost:
    """Medians over the windows: processor time in ms a poll, wake-ups a poll, memory in MB."""

    processor_ms: float
    wakeups: float
    memory_mb: float
    datapoints: int = 0


@dataclass(frozen=True)
class Measured:
    """The results of a run: windows of usage by subject and process."""

    hz: float
    seconds: float
    windows: Sequence[tuple[Snapshot, Snapshot]]
    datapoints: dict[str, int]

    def cost(self, name: str, process: str | None = None) -> Cost:
        """Return the cost of a subject, or of one of its processes."""
        return Cost(
            statistics.median(self._processor_ms(name, process)),
            statistics.median(
                self._of(after, name, process, "wakeups")
                - self._of(before, name, process, "wakeups")
                for before, after in self.windows
            )
            / (self.hz * self.seconds),
            statistics.median(
                self._of(after, name, process, "memory_kb") for _, after in self.windows
            )
            / 1000,
            self.datapoints[name],
        )

    def ratio(
        self, name: str, to: str, process: str | None = None, to_process: str | None = None
    ) -> float:
        """Return the processor time a poll relative to another subject in the same window: the median.

        It is that of all processes of both, or of one of them each.
        """
        one, other = self._processor_ms(name, process), self._processor_ms(to, to_process)
        return statistics.median(a / b for a, b in zip(one, other, strict=True))

    def more_ms(self, name: str, than: str) -> float:
        """Return the processor time (ms a poll) above another subject's in the same window: the median."""
        one, other = self._processor_ms(name, None), self._processor_ms(than, None)
        return statistics.median(a - b for a, b in zip(one, other, strict=True))

    def _processor_ms(self, name: str, process: str | None) -> list[float]:
        return [
            (
                self._of(after, name, process, "processor_s")
                - self._of(before, name, process, "processor_s")
            )
            * 1000
            / (self.hz * self.seconds)
            for before, after in self.windows
        ]

    @staticmethod
    def _of(snapshot: Snapshot, name: str, process: str | None, what: str) -> float:
        return sum(
            float(getattr(used, what))
            for (subject, part), used in snapshot.items()
            if subject == name and process in {None, part}
        )


def measure(subjects: Sequence[Subject], hz: float, rounds: int, seconds: float) -> Measured:
    """Let all subjects run, and sample their usage `rounds` times, every `seconds`."""
    started: list[Subject] = []
    try:
        for subject in subjects:
            started.append(subject)
            subject.start()
        pids = {(s.name, part): pid for s in subjects for part, pid in s.processes().items()}
        due = time.monotonic() + SETTLE_S
        looks: list[Snapshot] = []
        for _ in range(rounds + 1):
            time.sleep(max(0.0, due - time.monotonic()))
            looks.append({key: usage(pid) for key, pid in pids.items()})
            due += seconds
        datapoints = {subject.name: subject.datapoints for subject in subjects}
    finally:
        for subject in started:
            subject.end()
    return Measured(hz, seconds, list(pairwise(looks)), datapoints)

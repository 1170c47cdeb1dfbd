"""The agent alone: start and stop, memory, wake-ups when idle, the highest rate."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.benchmarks.noise import LEAST_WINDOWS, Figure, figure
from tests.benchmarks.side_by_side import Measured, running, watch
from tests.benchmarks.subjects import TheAgent
from tests.support.usage import memory_kb, wakeups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.benchmarks.neighbour import Walked

_IDLE_S = 20.0
_SETTLE_S = 7.0
_SAMPLES = 5
_STARTS = 5
#: Differences of so many seconds between starts are no noise.
_FLOOR_S = 0.05
_WINDOW_S = 5.0


@dataclass(frozen=True)
class StartStop:
    """The seconds from `--start` to the first poll and to its return, and of `--stop`."""

    poll_s: Figure
    start_s: Figure
    stop_s: Figure


def start_and_stop(home: Path, port: int) -> StartStop:
    """Measure several times at 10 Hz, with a server that is well."""
    times = [_start_and_stop(home / str(number), port) for number in range(_STARTS)]
    return StartStop(*(figure(one, floor=_FLOOR_S) for one in zip(*times, strict=True)))


def _start_and_stop(home: Path, port: int) -> tuple[float, float, float]:
    agent = TheAgent(home, port, 10).agent
    try:
        began, wall = time.monotonic(), time.time()
        agent.start()
        started = time.monotonic() - began
        status = agent.status()
        first_ms = status["polls"]["last_ms"] - (status["polls"]["since_start"] - 1) * 100
        began = time.monotonic()
        agent.stop()
        return first_ms / 1000 - wall, started, time.monotonic() - began
    finally:
        agent.end()


def memory_mb(home: Path, port: int, hz: float) -> float:
    """Return the memory of the process tree (PSS), while nothing else runs that shares pages with it."""
    subject = TheAgent(home, port, hz)
    try:
        subject.start()
        pids = subject.processes().values()
        time.sleep(_SETTLE_S)
        samples = []
        for _ in range(_SAMPLES):
            time.sleep(1.0)
            samples.append(sum(memory_kb(pid) for pid in pids))
    finally:
        subject.end()
    return statistics.median(samples) / 1000


def idle_wakeups(home: Path, port: int) -> dict[str, float]:
    """Return the wake-ups of each process in 5 s, at the default interval of 300 s."""
    subject = TheAgent(home, port, 1 / 300)
    try:
        subject.start()
        pids = subject.processes()
        time.sleep(2.0)
        before = {name: wakeups(pid) for name, pid in pids.items()}
        time.sleep(_IDLE_S)
        return {name: (wakeups(pid) - before[name]) * 5 / _IDLE_S for name, pid in pids.items()}
    finally:
        subject.end()


@dataclass(frozen=True)
class Rate:
    """The result of a rate held for some seconds: missed ticks, and the share of one processor."""

    hz: float
    seconds: float
    datapoints: int
    missed: int
    processor: Figure
    walked: Walked | None


def rate(
    home: Path,
    port: int,
    hz: float,
    seconds: float,
    more: Sequence[str] = (),
    *,
    busy: bool = False,
) -> Rate:
    """Poll at `hz` the original's families and `more`, beside the neighbour if `busy`."""
    subject = TheAgent(home, port, hz, more)
    looks, missed = [], []
    with running([subject], hz, busy=busy) as (pids, walked):
        for look in watch(pids, hz, max(LEAST_WINDOWS, round(seconds / _WINDOW_S)), _WINDOW_S):
            looks.append(look)
            missed.append(sum(subject.agent.status()["missed"].values()))
    measured = Measured(hz, list(pairwise(looks)), {})
    took = looks[-1].processors.at - looks[0].processors.at
    share = measured.share(subject.name)
    return Rate(hz, took, subject.datapoints, missed[-1] - missed[0], share, walked)

"""The agent alone: start and stop, wake-ups when idle, the highest rate."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.subjects import TheAgent
from tests.support.usage import memory_kb, processor_s, wakeups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IDLE_S = 20.0
_SAMPLES = 20
_STARTS = 5


@dataclass(frozen=True)
class StartStop:
    """The seconds from `--start` to the first poll and to its return, and of `--stop`."""

    poll_s: float
    start_s: float
    stop_s: float


def start_and_stop(home: Path, port: int) -> StartStop:
    """Measure several times at 10 Hz, with a server that is well. Return the medians."""
    times = [_start_and_stop(home / str(number), port) for number in range(_STARTS)]
    return StartStop(
        statistics.median(one.poll_s for one in times),
        statistics.median(one.start_s for one in times),
        statistics.median(one.stop_s for one in times),
    )


def _start_and_stop(home: Path, port: int) -> StartStop:
    agent = TheAgent(home, port, 10).agent
    try:
        began, wall = time.monotonic(), time.time()
        agent.start()
        started = time.monotonic() - began
        status = agent.status()
        first_ms = status["polls"]["last_ms"] - (status["polls"]["since_start"] - 1) * 100
        began = time.monotonic()
        agent.stop()
        return StartStop(first_ms / 1000 - wall, started, time.monotonic() - began)
    finally:
        agent.end()


def memory_mb(home: Path, port: int, hz: float) -> float:
    """Return the memory of the process tree (PSS), while nothing else runs that shares pages with it."""
    subject = TheAgent(home, port, hz)
    try:
        subject.start()
        pids = subject.processes().values()
        samples = []
        for _ in range(_SAMPLES):
            time.sleep(1.0)
            samples.append(sum(memory_kb(pid) for pid in pids))
    finally:
        subject.end()
    return statistics.median(samples[_SAMPLES // 2 :]) / 1000


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
    processor: float


def rate(home: Path, port: int, hz: float, seconds: float, more: Sequence[str] = ()) -> Rate:
    """Poll at `hz` the original's families and `more`."""
    subject = TheAgent(home, port, hz, more)
    try:
        subject.start()
        time.sleep(2.0)
        pids = subject.processes().values()
        missed = sum(subject.agent.status()["missed"].values())
        before = sum(processor_s(pid) for pid in pids)
        began = time.monotonic()
        time.sleep(seconds)
        used = sum(processor_s(pid) for pid in pids) - before
        took = time.monotonic() - began
        missed = sum(subject.agent.status()["missed"].values()) - missed
    finally:
        subject.end()
    return Rate(hz, took, subject.datapoints, missed, used / took)

"""How late ticks are under load: the collector's, compared with a loop that only sleeps.

    python -m tests.benchmarks.late collector|sleep HZ

prints an empty line once it runs and, when it gets SIGTERM, how late (ms) each of its ticks was.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.collect.collector import Collector
from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.model import Origin
from tests.benchmarks.neighbour import neighbour
from tests.benchmarks.noise import Figure, once, processors
from tests.benchmarks.pace import ticks
from tests.support.agent import ROOT
from tests.support.configs import config_in

if TYPE_CHECKING:
    from pattoo_mp.collect.schedule import Tick

_LOOPS_EACH = 3
_START_S = 2.0


@dataclass(frozen=True)
class Late:
    """Of one process: median and 99th percentile in ms, and the number of missed ticks."""

    median_ms: float
    p99_ms: float
    missed: int


@dataclass(frozen=True)
class Lateness:
    """Of the collector and of a loop that only sleeps, side by side; processors that other work used."""

    collector: Late
    sleep: Late
    other: float

    @property
    def p99_ratio(self) -> Figure:
        """The 99th percentile of the collector, relative to the loop's."""
        return once(self.collector.p99_ms / self.sleep.p99_ms, self.other)


def lateness(hz: float, seconds: float, *, busy: bool = False) -> Lateness:
    """Measure both side by side, with three busy loops for each processor, and the neighbour if `busy`."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(_LOOPS_EACH * (os.cpu_count() or 1))
    ]
    asked = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.late", name, str(hz)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for name in ("collector", "sleep")
    }  # fmt: skip
    try:
        for process in asked.values():
            assert process.stdout is not None
            assert process.stdout.readline(), "a process whose ticks are measured did not start"
        with neighbour(hz, len(asked)) if busy else nullcontext():
            time.sleep(_START_S)
            before = processors()
            time.sleep(seconds)
            other = processors().other_since(before)
            for process in asked.values():
                process.terminate()
            late = {name: _read(process, hz) for name, process in asked.items()}
        return Lateness(late["collector"], late["sleep"], other)
    finally:
        for process in asked.values():
            process.kill()
            process.wait()
        for loop in loops:
            loop.kill()
            loop.wait()


def _read(process: subprocess.Popen[str], hz: float) -> Late:
    text, _ = process.communicate(timeout=30)
    rows: list[tuple[int, float]] = json.loads(text)[round(hz * _START_S) :]
    late = [row[1] for row in rows]
    expected = round((rows[-1][0] - rows[0][0]) * hz / 1000) + 1
    return Late(
        statistics.median(late), statistics.quantiles(late, n=100)[98], expected - len(rows)
    )


class _Recording(Collector):
    """A collector that records when it takes its ticks."""

    def __init__(self, link: Link, interval_ms: int) -> None:
        config = config_in(Path("/nowhere"), interval_ms=interval_ms)
        super().__init__(link, Origin("a5" * 32, "localhost"), config, 0, at_once=False)
        self.rows: list[tuple[int, float]] = []

    def _poll(self, tick: Tick) -> None:
        if not self.rows:
            _say_that_it_runs()
        self.rows.append((tick.timestamp_ms, time.time_ns() / 1e6 - tick.timestamp_ms))
        super()._poll(tick)


def _collector(hz: float) -> list[tuple[int, float]]:
    ours, theirs = Link.pair()
    reader = get_context("fork").Process(target=_drain, args=(theirs, ours), daemon=True)
    reader.start()
    theirs.close()
    collector = _Recording(ours, round(1000 / hz))
    collector.run()
    ours.close()
    return collector.rows


def _drain(link: Link, other_end: Link) -> None:
    other_end.close()  # so that the end of the collector closes the link
    with suppress(LinkClosedError):
        while True:
            select.select([link], [], [])
            link.receive()


def _say_that_it_runs() -> None:
    sys.stdout.write("\n")
    sys.stdout.flush()


def _sleep(hz: float) -> list[tuple[int, float]]:
    rows: list[tuple[int, float]] = []
    with suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _say_that_it_runs()
        for due in ticks(hz, 0.5):
            rows.append((round(due * 1000), (time.time() - due) * 1000))  # noqa: PERF401 - it ends by a signal
    return rows


if __name__ == "__main__":
    which, rate = sys.argv[1], float(sys.argv[2])
    sys.stdout.write(json.dumps(_collector(rate) if which == "collector" else _sleep(rate)))

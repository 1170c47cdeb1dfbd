"""The figures of a run in tables, each beside its target: pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.report import table

if TYPE_CHECKING:
    from tests.benchmarks.alone import Rate, StartStop
    from tests.benchmarks.backlog import Backlog
    from tests.benchmarks.late import Lateness
    from tests.benchmarks.report import Row
    from tests.benchmarks.scale import Scale
    from tests.benchmarks.side_by_side import Measured

AGENT, BARE = "pattoo_mp", "bare psutil"


@dataclass(frozen=True)
class Run:
    """All that was measured."""

    side_by_side: Measured
    posted: float
    memory_mb: float
    small: Backlog
    large: Backlog
    late: dict[str, Lateness]
    start_stop: StartStop
    idle: dict[str, float]
    fastest: Rate
    all_on: Rate
    scale: Scale


def beside(measured: Measured) -> str:
    """The subjects that ran side by side, this agent's processes one by one too."""
    agent = measured.cost(AGENT)
    rows: list[Row] = []
    for name, datapoints in measured.datapoints.items():
        cost = measured.cost(name)
        rows.append(
            (
                name, str(datapoints), f"{cost.processor_ms:.2f}",
                f"{1000 * cost.processor_ms / max(1, datapoints):.1f}",
                f"{measured.ratio(name, BARE):.2f}", f"{cost.wakeups:.1f}",
                f"{cost.memory_mb:.1f}", f"{cost.memory_mb / agent.memory_mb:.2f}",
            )
        )  # fmt: skip
        if name == AGENT:
            for part in ("control", "collector", "uploader"):
                cost = measured.cost(name, part)
                rows.append(
                    (
                        f"… its {part}", "", f"{cost.processor_ms:.2f}", "",
                        f"{measured.ratio(name, BARE, part):.2f}", f"{cost.wakeups:.1f}",
                        f"{cost.memory_mb:.1f}", "",
                    )
                )  # fmt: skip
    head = (
        f"at {measured.hz:g} Hz", "datapoints a poll", "processor, ms a poll",
        "processor, µs a datapoint", "processor, against bare psutil", "wake-ups a poll",
        "memory, MB", "memory, against this agent",
    )  # fmt: skip
    return table(head, rows)


def targets(run: Run) -> str:
    """Each target, and what was reached."""
    measured = run.side_by_side
    collector, sleep = run.late["collector"], run.late["sleep"]
    idle = ", ".join(f"{name} {number:.2g}" for name, number in run.idle.items())
    rows = [
        (
            "processor time a poll, against bare psutil calls",
            "1.5", f"{measured.ratio(AGENT, BARE):.2f}",
        ),
        ("… of the collector alone", "1.2", f"{measured.ratio(AGENT, BARE, 'collector'):.2f}"),
        (
            "memory of the tree (PSS), MB, running alone ([what stands in the way]"
            "(decisions/016-what-the-tree-shares.md))",
            "28", f"{run.memory_mb:.1f}",
        ),
        (
            f"… with a backlog of {run.small.polls:,} polls, and of {run.large.polls:,}",
            "28, no growth", f"{run.small.memory_mb:.1f}, {run.large.memory_mb:.1f}",
        ),
        (
            "lateness of ticks with three busy loops a processor: 99th percentile, against a sleep "
            f"loop's {sleep.p99_ms:.1f} ms",
            "1.2", f"{collector.p99_ms / sleep.p99_ms:.2f}",
        ),
        (
            "… median, ms, of the collector and of the sleep loop",
            "", f"{collector.median_ms:.2f}, {sleep.median_ms:.2f}",
        ),
        ("… ticks missed", "0", str(collector.missed)),
        (
            f"ticks missed in {run.fastest.seconds:.0f} s at {run.fastest.hz:g} Hz, part of one "
            "processor",
            "0, 30 %", f"{run.fastest.missed}, {100 * run.fastest.processor:.0f} %",
        ),
        (
            f"… with every family that there is: {run.all_on.datapoints} datapoints a poll",
            "", f"{run.all_on.missed}, {100 * run.all_on.processor:.0f} %",
        ),
        ("bytes posted a datapoint", "60", f"{run.posted:.0f}"),
        ("bytes spooled a datapoint", "8", f"{run.large.bytes_a_datapoint:.1f}"),
        (
            "datapoints drained and encoded a second of one processor",
            "at least 1,000,000", f"{run.large.drained_a_s:,.0f}",
        ),
        (
            f"a poll of {run.scale.datapoints:,} datapoints: processor time of each, against a "
            "small host (and its parts: to poll, to encode)",
            "1", f"{run.scale.ratio:.2f} ({run.scale.poll_ratio:.2f}, {run.scale.encode_ratio:.2f})",
        ),
        ("… ms to encode it", "10", f"{run.scale.encode_ms:.1f}"),
        (
            "seconds from `--start` to the first poll, to its return; of `--stop`",
            "0.5; 0.5",
            f"{run.start_stop.poll_s:.2f}, {run.start_stop.start_s:.2f}; "
            f"{run.start_stop.stop_s:.2f}",
        ),
        ("wake-ups in 5 s at 300 s", "1 each", idle),
    ]  # fmt: skip
    return table((f"at {measured.hz:g} Hz", "target, at most", "reached"), rows)

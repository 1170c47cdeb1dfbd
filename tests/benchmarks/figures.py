"""Formats the results of a run as tables. Does no I/O."""

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
    """All results of a run."""

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


def comparison(measured: Measured) -> str:
    """Return the table of all programs that ran side by side, and of each of this agent's processes."""
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
        f"at {measured.hz:g} Hz", "datapoints per poll", "processor, ms per poll",
        "processor, µs per datapoint", "processor, relative to bare psutil", "wake-ups per poll",
        "memory, MB", "memory, relative to this agent",
    )  # fmt: skip
    return table(head, rows)


def targets(run: Run) -> str:
    """Return the table of targets and results."""
    measured = run.side_by_side
    collector, sleep = run.late["collector"], run.late["sleep"]
    idle = ", ".join(f"{name} {number:.2g}" for name, number in run.idle.items())
    rows = [
        (
            "processor time per poll, relative to bare psutil calls",
            "1.5", f"{measured.ratio(AGENT, BARE):.2f}",
        ),
        ("… of the collector alone", "1.2", f"{measured.ratio(AGENT, BARE, 'collector'):.2f}"),
        (
            "memory of the process tree (PSS), MB, running alone ([why it is not less]"
            "(decisions/016-what-the-tree-shares.md))",
            "28", f"{run.memory_mb:.1f}",
        ),
        (
            f"… with a backlog of {run.small.polls:,} polls, and of {run.large.polls:,}",
            "28, no growth", f"{run.small.memory_mb:.1f}, {run.large.memory_mb:.1f}",
        ),
        (
            "lateness of ticks with three busy loops per processor: 99th percentile, relative to a "
            f"sleep loop's {sleep.p99_ms:.1f} ms",
            "1.2", f"{collector.p99_ms / sleep.p99_ms:.2f}",
        ),
        (
            "… median, ms, of the collector and of the sleep loop",
            "", f"{collector.median_ms:.2f}, {sleep.median_ms:.2f}",
        ),
        ("… ticks missed", "0", str(collector.missed)),
        (
            f"ticks missed in {run.fastest.seconds:.0f} s at {run.fastest.hz:g} Hz, share of one "
            "processor",
            "0, 30 %", f"{run.fastest.missed}, {100 * run.fastest.processor:.0f} %",
        ),
        (
            f"… with every family on: {run.all_on.datapoints} datapoints per poll",
            "", f"{run.all_on.missed}, {100 * run.all_on.processor:.0f} %",
        ),
        ("bytes posted per datapoint", "60", f"{run.posted:.0f}"),
        ("bytes spooled per datapoint", "8", f"{run.large.bytes_a_datapoint:.1f}"),
        (
            "datapoints drained and encoded per second of processor time",
            "at least 1,000,000", f"{run.large.drained_a_s:,.0f}",
        ),
        (
            f"a poll of {run.scale.datapoints:,} datapoints: processor time per datapoint, relative to "
            "a small host (and for polling and encoding alone)",
            "1", f"{run.scale.ratio:.2f} ({run.scale.poll_ratio:.2f}, {run.scale.encode_ratio:.2f})",
        ),
        ("… ms to encode it", "10", f"{run.scale.encode_ms:.1f}"),
        (
            "seconds from `--start` to the first poll and to its return; seconds for `--stop`",
            "0.5; 0.5",
            f"{run.start_stop.poll_s:.2f}, {run.start_stop.start_s:.2f}; "
            f"{run.start_stop.stop_s:.2f}",
        ),
        ("wake-ups in 5 s at an interval of 300 s", "1 each", idle),
    ]  # fmt: skip
    return table((f"at {measured.hz:g} Hz", "target (maximum)", "result"), rows)

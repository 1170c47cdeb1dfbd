"""Formats the results of a run as tables. Does no I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.noise import OTHER_WORK, TOO_NOISY, once
from tests.benchmarks.report import table

if TYPE_CHECKING:
    from tests.benchmarks.alone import Rate, StartStop
    from tests.benchmarks.backlog import Backlog
    from tests.benchmarks.late import Lateness
    from tests.benchmarks.report import Row
    from tests.benchmarks.scale import Scale
    from tests.benchmarks.side_by_side import Measured

AGENT, BARE = "pattoo_mp", "bare psutil"
PARTS = ("control", "collector", "uploader")


@dataclass(frozen=True)
class Costs:
    """What a poll costs: the agent and bare psutil side by side, on one kind of host."""

    pair: Measured
    late: Lateness
    fastest: Rate


@dataclass(frozen=True)
class Run:
    """The results that are measured once: the agent alone."""

    posted: float
    small: Backlog
    large: Backlog
    late: Lateness
    start_stop: StartStop
    idle: dict[str, float]
    all_on: Rate
    scale: Scale


def costs(quiet: Costs, busy: Costs, memory_mb: float) -> str:
    """Return the table of what a poll costs, on a quiet host and with the neighbour."""
    each = (quiet, busy)
    fastest = quiet.fastest
    rows = [
        ("wake-ups of the process tree per poll", "1.5", *(f"{c.pair.wakeups(AGENT):.1f}" for c in each)),
        ("system calls of the collector per poll", "35", *(_calls(c.pair, AGENT, "collector") for c in each)),
        ("page faults of the process tree per poll", "", *(f"{c.pair.faults(AGENT):.1f}" for c in each)),
        (
            "processor time per poll, relative to bare psutil calls",
            "1.5", *(f"{c.pair.ratio(AGENT, BARE):.2f}" for c in each),
        ),
        (
            "… of the collector alone",
            "1.1", *(f"{c.pair.ratio(AGENT, BARE, 'collector'):.2f}" for c in each),
        ),
        ("… of bare psutil calls, ms", "", *(f"{c.pair.processor_ms(BARE):.2f}" for c in each)),
        (
            "memory of the process tree (PSS), MB, running alone ([why it is not less]"
            "(decisions/016-what-the-tree-shares.md))",
            "34", f"{memory_mb:.1f}", "",
        ),
        (
            "lateness of ticks with three busy loops per processor: 99th percentile, relative to a "
            f"sleep loop's {quiet.late.sleep.p99_ms:.1f} and {busy.late.sleep.p99_ms:.1f} ms",
            "0.5", *(f"{c.late.p99_ratio:.2f}" for c in each),
        ),
        (f"ticks missed in {fastest.seconds:.0f} s at {fastest.hz:g} Hz", "0", *(missed(c.fastest) for c in each)),
        ("… share of one processor, %", "20", *(f"{c.fastest.processor.times(100):.1f}" for c in each)),
    ]  # fmt: skip
    head = (f"at {quiet.pair.hz:g} Hz", "target (maximum)", "quiet host", "with the neighbour")
    reasons = [
        f"{where}: {noise(c.pair)}{_doubts(c)}\n"
        for where, c in (("Quiet host", quiet), ("With the neighbour", busy))
    ]
    return f"{table(head, rows)}\n" + "\n".join(reasons)


def missed(found: Rate) -> str:
    """Return the number of missed ticks. If none was, other work does not matter."""
    return TOO_NOISY if found.missed and found.processor.doubt else str(found.missed)


def _doubts(found: Costs) -> str:
    """Return a sentence on the figures that are too noisy; empty if there is none."""
    pair = found.pair
    doubts = {
        "wake-ups": pair.wakeups(AGENT).doubt,
        "system calls": calls.doubt if (calls := pair.calls_of(AGENT)) else "",
        "page faults": pair.faults(AGENT).doubt,
        "the process tree relative to bare psutil": pair.ratio(AGENT, BARE).doubt,
        "the collector": pair.ratio(AGENT, BARE, "collector").doubt,
        "bare psutil": pair.processor_ms(BARE).doubt,
        "lateness": found.late.p99_ratio.doubt,
        f"{found.fastest.hz:g} Hz": found.fastest.processor.doubt,
    }
    some = "; ".join(f"{what}, as {why}" for what, why in doubts.items() if why)
    return f" Too noisy: {some}." if some else ""


def noise(measured: Measured) -> str:
    """Return a sentence on the other work during a run, and on the windows that do not count."""
    text = (
        f"other work took {statistics.median(measured.other):.2f} of a processor, the median of "
        f"{len(measured.windows)} windows; {sum(measured.disturbed)} of them were disturbed (more than "
        f"{OTHER_WORK:g}) and do not count."
    )
    if measured.calls.uncounted:
        text += f" System calls: {measured.calls.uncounted}."
    if measured.absent:
        text += f" Left out, as it did not start: {', '.join(measured.absent)}."
    return text


def _calls(measured: Measured, name: str, part: str | None = None) -> str:
    calls = measured.calls_of(name, part)
    if calls is None:
        return "not counted" if measured.calls.uncounted else ""
    return calls.brief(".0f")


def comparison(measured: Measured) -> str:
    """Return the table of all programs that ran side by side, and of each of this agent's processes."""
    rows: list[Row] = []
    for name, datapoints in measured.datapoints.items():
        rows.append(_row(measured, name, None, datapoints))
        if name == AGENT:
            rows += [_row(measured, name, part, 0) for part in PARTS]
    head = (
        rate_name(measured.hz), "datapoints per poll", "processor, ms per poll",
        "processor, µs per datapoint", "processor, relative to bare psutil", "wake-ups per poll",
        "system calls per poll", "page faults per poll", "memory, MB", "memory, relative to this agent",
    )  # fmt: skip
    return f"{table(head, rows)}\nOf the windows: {noise(measured)}\n"


def _row(measured: Measured, name: str, part: str | None, datapoints: int) -> Row:
    processor, memory_mb = measured.processor_ms(name, part), measured.memory_mb(name, part)
    return (
        f"… its {part}" if part else name,
        "" if part else str(datapoints),
        processor.brief(".2f"),
        "" if part else processor.times(1000 / max(1, datapoints)).brief(".1f"),
        f"{measured.ratio(name, BARE, part):.2f}",
        measured.wakeups(name, part).brief(".1f"),
        _calls(measured, name, part),
        measured.faults(name, part).brief(".1f"),
        f"{memory_mb:.1f}",
        "" if part else f"{memory_mb / measured.memory_mb(AGENT):.2f}",
    )


def rate_name(hz: float) -> str:
    """Return what a person calls a rate: in Hz, or by its interval if that is longer than a second."""
    return f"at {hz:g} Hz" if hz >= 1 else f"at {1 / hz:g} s"


def targets(run: Run, hz: float) -> str:
    """Return the table of the targets that are measured once, and their results."""
    idle = ", ".join(f"{name} {number:.2g}" for name, number in run.idle.items())
    late = run.late
    rows = [
        (
            f"memory (PSS), MB, with a backlog of {run.small.polls:,} polls, and of {run.large.polls:,}",
            "34, no growth", f"{run.small.memory_mb:.1f}, {run.large.memory_mb:.1f}",
        ),
        (
            "lateness of ticks with three busy loops per processor: median, ms, of the collector and of "
            "the sleep loop",
            "", ", ".join(f"{once(each.median_ms, late.other):.2f}" for each in (late.collector, late.sleep)),
        ),
        ("… ticks missed", "0", f"{once(late.collector.missed, late.other if late.collector.missed else 0):.0f}"),
        (
            f"{run.all_on.hz:g} Hz with every family on, {run.all_on.datapoints} datapoints per poll: ticks "
            f"missed in {run.all_on.seconds:.0f} s, share of one processor, %",
            "", f"{missed(run.all_on)}, {run.all_on.processor.times(100):.1f}",
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
        ("seconds from `--start` to the first poll", "0.5", f"{run.start_stop.poll_s:.2f}"),
        ("… to its return", "", f"{run.start_stop.start_s:.2f}"),
        ("seconds for `--stop`", "0.5", f"{run.start_stop.stop_s:.2f}"),
        ("wake-ups in 5 s at an interval of 300 s", "1 each", idle),
    ]  # fmt: skip
    return table((rate_name(hz), "target (maximum)", "result"), rows)

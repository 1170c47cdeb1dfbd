"""Compares this release with another one, in the same windows: two agents of each, with one output."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from tests.benchmarks.report import table
from tests.benchmarks.side_by_side import Measured, measure
from tests.benchmarks.subjects import TheAgent

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

#: Each starts at other points of the processors' caches and pages, so one alone says less.
_EACH: Final = 2
_PARTS: Final = (None, "control", "collector", "uploader")


def compare(home: Path, port: int, arguments: argparse.Namespace) -> str:
    """Return the table. `arguments.before` is the other release's command."""
    subjects = [
        TheAgent(
            home / f"{which}{number}", port, arguments.hz, name=f"{which} {number}", command=command
        )
        for number in range(_EACH)
        for which, command in (("now", None), ("before", arguments.before))
    ]
    measured = measure(subjects, arguments.hz, arguments.rounds, arguments.seconds)
    rows = [
        (
            part or "all processes",
            *(f"{_mean(measured, which, part, 'processor_ms'):.2f}" for which in ("now", "before")),
            *(f"{_mean(measured, which, part, 'memory_mb'):.1f}" for which in ("now", "before")),
            f"{_ratio(measured, part):.2f}",
        )
        for part in _PARTS
    ]
    head = (
        f"at {arguments.hz:g} Hz", "processor, ms per poll: now", "before", "memory, MB: now", "before",
        "processor, relative to before",
    )  # fmt: skip
    return table(head, rows)


def _mean(measured: Measured, which: str, part: str | None, what: str) -> float:
    costs = [measured.cost(f"{which} {number}", part) for number in range(_EACH)]
    return statistics.mean(float(getattr(cost, what)) for cost in costs)


def _ratio(measured: Measured, part: str | None) -> float:
    return statistics.median(
        measured.ratio(f"now {number}", f"before {number}", part, part) for number in range(_EACH)
    )

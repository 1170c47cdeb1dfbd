"""Compares this release with another one, in the same windows: two agents of each, with one output."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from tests.benchmarks.figures import noise
from tests.benchmarks.report import table
from tests.benchmarks.side_by_side import Measured, measure
from tests.benchmarks.subjects import TheAgent

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

#: Each starts at other points of the processors' caches and pages, so one alone says less.
_EACH: Final = 2
_PARTS: Final = (None, "control", "collector", "uploader")


def compare(home: Path, port: int, hz: float, arguments: argparse.Namespace) -> str:
    """Return the table. `arguments.before` is the other release's command."""
    subjects = [
        TheAgent(home / f"{which}{number}", port, hz, name=f"{which} {number}", command=command)
        for number in range(_EACH)
        for which, command in (("now", None), ("before", arguments.before))
    ]
    measured = measure(subjects, hz, arguments.rounds, arguments.seconds)
    rows = [
        (
            part or "all processes",
            *(_both(measured, which, part) for which in ("now", "before")),
            *(f"{_memory_mb(measured, which, part):.1f}" for which in ("now", "before")),
            "; ".join(
                f"{measured.ratio(f'now {number}', f'before {number}', part, part):.2f}"
                for number in range(_EACH)
            ),
        )
        for part in _PARTS
    ]
    head = (
        f"at {hz:g} Hz", "processor, ms per poll: now, of both", "before, of both", "memory, MB: now",
        "before", "processor, relative to before, of both",
    )  # fmt: skip
    return f"{table(head, rows)}\nOf the windows: {noise(measured)}\n"


def _both(measured: Measured, which: str, part: str | None) -> str:
    each = (measured.processor_ms(f"{which} {number}", part) for number in range(_EACH))
    return "; ".join(one.brief(".2f") for one in each)


def _memory_mb(measured: Measured, which: str, part: str | None) -> float:
    return statistics.mean(measured.memory_mb(f"{which} {n}", part) for n in range(_EACH))

"""The schedule of all subjects: the same rate, each at its own point of the interval."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def ticks(hz: float, phase: float = 0.0) -> Iterator[float]:
    """Sleep until each tick (a multiple of the interval, plus `phase` of it). Yield its time (s)."""
    number = time.time() * hz // 1
    while True:
        number = max(number + 1, (time.time() * hz - phase) // 1)
        due = (number + phase) / hz
        time.sleep(max(0.0, due - time.time()))
        yield due

"""Processor: frequency, shares of time, times, and the kernel's counters.

The shares compare with the call before, of the same thread: the first one means nothing.
"""

from __future__ import annotations

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.model import COUNTER64, FLOAT


def _frequency() -> dict[str, float]:
    frequency = psutil.cpu_freq()
    if frequency is None:
        raise NotImplementedError("the kernel gives no processor frequency")
    return {"cpu_frequency": frequency.current}


def prime() -> None:
    """Begin the interval that the first poll's shares of time are measured over."""
    psutil.cpu_times_percent()


SOURCES = (
    Fields("processor.frequency", _frequency, "", FLOAT),
    Fields(
        "processor.shares",
        lambda: psutil.cpu_times_percent()._asdict(),
        "cpu_times_percent_",
        FLOAT,
    ),
    Fields("processor.times", lambda: psutil.cpu_times()._asdict(), "cpu_times_", COUNTER64),
    Fields("processor.counters", lambda: psutil.cpu_stats()._asdict(), "cpu_stats_", COUNTER64),
)

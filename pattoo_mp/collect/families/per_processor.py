"""The times and the frequency of each processor, as separate series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect.families.processor import TIMES
from pattoo_mp.collect.source import Devices, Limited, Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_TIMES_SPENT: Final = Table(
    "per_processor.times", "Each processor: times", "per_processor_times_", COUNTER64,
    tuple(
        Metric(name, COUNTER64, "seconds", f"{title} (Time of one CPU)",
               f"Time of the processor spent {use}.")
        for name, title, use in TIMES
    ),
    (Label("per_processor_number", "CPU Number",
           "The logical processor, counted from 0 among those that are online."),),
)

_FREQUENCY: Final = Table(
    "per_processor.frequency", "Each processor: frequency", "per_processor_", FLOAT,
    (
        Metric("frequency", FLOAT, "MHz", "CPU Frequency (of one CPU)",
               "The processor's current frequency."),
    ),
    (Label("per_processor_clock", "CPU or CPU Group",
           "The logical processor, or the clock if several share one; counted from 0."),),
)
# fmt: on

TABLES: Final = (_TIMES_SPENT, _FREQUENCY)


def _times() -> dict[str, Any]:
    return {str(number): times for number, times in enumerate(psutil.cpu_times(percpu=True))}


def _frequencies() -> dict[str, dict[str, float]]:
    every = psutil.cpu_freq(percpu=True)
    return {str(number): {"frequency": one.current} for number, one in enumerate(every)}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The times, and the frequencies with a time limit.

    A driver may take seconds to report the frequencies of many processors.
    """
    frequencies = Rows(_FREQUENCY, _frequencies, "the kernel reports no processor frequency")
    return (Devices(_TIMES_SPENT, _times), Limited(frequencies, plan.deadline()))

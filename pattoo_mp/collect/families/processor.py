"""Processor: frequency, shares of time, times, and the kernel's counters.

The shares compare with the question before: the first ones mean nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect.source import Fields, Limited
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source


# fmt: off
_FREQUENCY: Final = Table(
    "processor.frequency", "Processor frequency", "", FLOAT,
    (
        Metric("cpu_frequency", FLOAT, "MHz", "CPU Frequency",
               "The processors' present frequency, averaged."),
    ),
)

#: Where a processor's time goes: psutil's field, a heading, and which time it is.
TIMES: Final = (
    ("user", "User", "programs, guests of virtual machines included"),
    ("nice", "Nice", "programs with a lowered priority, such guests included"),
    ("system", "System", "the kernel"),
    ("idle", "Idle", "nothing"),
    ("iowait", "IO Wait", "nothing, while a disk was waited for"),
    ("irq", "IRQ", "interrupts of the hardware"),
    ("softirq", "Soft IRQ", "interrupts that the kernel put off, such as of the network"),
    ("steal", "Steal", "other virtual machines, while this one would have run"),
    ("guest", "Guest", "guests of virtual machines"),
    ("guest_nice", "Guest / Nice", "guests with a lowered priority"),
)

_SHARES_OF_TIME: Final = Table(
    "processor.shares", "Processor: shares of time", "cpu_times_percent_", FLOAT,
    tuple(
        Metric(name, FLOAT, "percent", f"{title} (Percent CPU Usage)",
               f"Part of the processors' time since the poll before that went to {use}.")
        for name, title, use in TIMES
    ),
)

_TIMES_SPENT: Final = Table(
    "processor.times", "Processor: times", "cpu_times_", COUNTER64,
    tuple(
        Metric(name, COUNTER64, "seconds", f"{title} (CPU Time)",
               f"Time of all processors that went to {use}.")
        for name, title, use in TIMES
    ),
)

_COUNTERS: Final = Table(
    "processor.counters", "Processor: events", "cpu_stats_", COUNTER64,
    (
        Metric("ctx_switches", COUNTER64, "switches", "CPU (Context Switches)",
               "Changes of a processor from one process or thread to another."),
        Metric("interrupts", COUNTER64, "interrupts", "CPU (Interrupts)",
               "Interrupts of the hardware."),
        Metric("soft_interrupts", COUNTER64, "interrupts", "CPU (Soft Interrupts)",
               "Interrupts that the kernel put off."),
        Metric("syscalls", COUNTER64, "calls", "CPU (System Calls)",
               "Always 0 on Linux, which does not count them."),
    ),
)
# fmt: on

TABLES: Final = (_FREQUENCY, _SHARES_OF_TIME, _TIMES_SPENT, _COUNTERS)


def _frequency() -> dict[str, float]:
    frequency = psutil.cpu_freq()
    if frequency is None:
        raise NotImplementedError("the kernel gives no processor frequency")
    return {"cpu_frequency": frequency.current}


class Shares:
    """What part of the processors' time went where since the question before, in percent.

    `psutil.cpu_times_percent` takes anything less than a second of processor time for a whole
    one, and so gives a fifth of the truth to two processors that are asked ten times a second.
    """

    def __init__(self) -> None:
        self._before: tuple[float, ...] = ()
        self._untaken: Any = None  # psutil's tuple

    def ask(self) -> dict[str, float]:
        """The shares since the last call; all 0 at first, or if the kernel counted no time since."""
        self._untaken = None
        now = self._untaken = psutil.cpu_times()
        before, self._before = self._before or now, now
        # The kernel sometimes takes back a little of its idle time.
        spent = {
            name: max(0.0, after - earlier)
            for name, after, earlier in zip(now._fields, now, before, strict=True)
        }
        # What the guests used is in `user` and `nice` already.
        whole = sum(time for name, time in spent.items() if not name.startswith("guest"))
        return {
            name: round(100 * time / whole, 1) if whole else 0.0 for name, time in spent.items()
        }

    def times(self) -> dict[str, float]:
        """The times that the last shares end with: psutil need not be asked twice in a poll."""
        now, self._untaken = self._untaken or psutil.cpu_times(), None
        times: dict[str, float] = now._asdict()
        return times


_SHARES = Shares()


def prime() -> None:
    """Begin the interval that the first poll's shares of time are measured over."""
    with suppress(Exception):  # a host that does not give its times is told of by the poll
        _SHARES.ask()


def sources(plan: Plan) -> tuple[Source, ...]:
    """All of them. The frequency, which may take seconds, is waited for as the plan says.

    The others read what the kernel has at hand, and stay in the thread that polls.
    """
    return (
        Limited(Fields(_FREQUENCY, _frequency), plan.together()),
        Fields(_SHARES_OF_TIME, _SHARES.ask),
        Fields(_TIMES_SPENT, _SHARES.times),
        Fields(_COUNTERS, lambda: psutil.cpu_stats()._asdict()),
    )

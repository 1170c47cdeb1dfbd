"""Processor: frequency, shares of time, times, and the kernel's counters.

The shares are measured since the last reading, so the first ones mean nothing (see `prime`).
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from math import fsum
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._frequencies import by_processor
from pattoo_mp.collect.source import Fields, Sample, reason
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Shape, Source
    from pattoo_mp.model import Pair, Series


# fmt: off
_FREQUENCY: Final = Table(
    "processor.frequency", "Processor frequency", "", FLOAT,
    (
        Metric("cpu_frequency", FLOAT, "MHz", "CPU Frequency",
               "The mean of the current frequencies of all processors that are online."),
    ),
)

#: How processor time is spent: psutil's field, a heading, and words for the description.
TIMES: Final = (
    ("user", "User", "in programs, including virtual machines that this host runs"),
    ("nice", "Nice", "in programs with lowered priority, including such virtual machines"),
    ("system", "System", "in the kernel"),
    ("idle", "Idle", "idle"),
    ("iowait", "IO Wait", "idle, waiting for a disk"),
    ("irq", "IRQ", "on hardware interrupts"),
    ("softirq", "Soft IRQ", "on software interrupts, such as those of the network"),
    ("steal", "Steal", "by other virtual machines, while this one was ready to run"),
    ("guest", "Guest", "in virtual machines that this host runs"),
    ("guest_nice", "Guest / Nice", "in such virtual machines with lowered priority"),
)

_SHARES_OF_TIME: Final = Table(
    "processor.shares", "Processor: shares of time", "cpu_times_percent_", FLOAT,
    tuple(
        Metric(name, FLOAT, "percent", f"{title} (Percent CPU Usage)",
               f"Share of processor time since the last poll spent {use}.")
        for name, title, use in TIMES
    ),
)

_TIMES_SPENT: Final = Table(
    "processor.times", "Processor: times", "cpu_times_", COUNTER64,
    tuple(
        Metric(name, COUNTER64, "seconds", f"{title} (CPU Time)",
               f"Time of all processors spent {use}.")
        for name, title, use in TIMES
    ),
)

_COUNTERS: Final = Table(
    "processor.counters", "Processor: events", "cpu_stats_", COUNTER64,
    (
        Metric("ctx_switches", COUNTER64, "switches", "CPU (Context Switches)",
               "Switches of a processor from one process or thread to another."),
        Metric("interrupts", COUNTER64, "interrupts", "CPU (Interrupts)",
               "Hardware interrupts."),
        Metric("soft_interrupts", COUNTER64, "interrupts", "CPU (Soft Interrupts)",
               "Software interrupts: work that the kernel deferred from a hardware interrupt."),
        Metric("syscalls", COUNTER64, "calls", "CPU (System Calls)",
               "Always 0 on Linux, which does not count them."),
    ),
    exported={
        "ctx_switches": Exported("node_context_switches_total"),
        "interrupts": Exported("node_intr_total"),
    },
)
# fmt: on

TABLES: Final = (_FREQUENCY, _SHARES_OF_TIME, _TIMES_SPENT, _COUNTERS)


class MeanFrequency:
    """The mean over all processors that are online; several that share a clock count as several.

    A processor whose frequency is not known is left out of it.
    """

    name = _FREQUENCY.name

    def read(self) -> Sample:
        """Query all. Raises what the first one raised if no frequency is known."""
        every = by_processor()
        known = [mhz for mhz in every.values() if not isinstance(mhz, Exception)]
        errors = {number: mhz for number, mhz in every.items() if isinstance(mhz, Exception)}
        if not known:
            raise next(iter(errors.values()))
        left_out = {f"{self.name} {number}": reason(error) for number, error in errors.items()}
        return Sample(("cpu_frequency",), (fsum(known) / len(known),), left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return the only one."""
        return [_FREQUENCY.series(name, host) for name in shape]


_NAMES: Final = tuple(name for name, _, _ in TIMES)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_STAT: Final = "stat"


def times_spent(lines: str) -> dict[str, float | Exception]:
    r"""Return the times of all processors together in seconds, from the first line of `/proc/stat`.

    With an exception in place of one that the kernel cannot count to. Raises `ValueError` if the
    first line is another one, such as that of a single processor.

    >>> times_spent("cpu  1000 50\ncpu0 500 25\n")
    {'user': 10.0, 'nice': 0.5}
    """
    line = lines.partition("\n")[0]
    if not line.startswith("cpu "):
        raise ValueError("/proc/stat does not begin with the times of all processors")
    found = host.counts(line[len("cpu ") :].split())
    return {
        name: ticks if isinstance(ticks, Exception) else ticks / _TICKS_PER_S
        for name, ticks in zip(_NAMES, found, strict=False)
    }


def _read_times() -> dict[str, float | Exception]:
    return times_spent(host.proc(_STAT))


class Shares:
    """How processor time was spent since the last reading, in percent.

    `psutil.cpu_times_percent` divides by at least one second of processor time. With two processors
    read ten times a second it would return a fifth of the true shares. `psutil.cpu_times` takes a
    negative number as it is, and the first processor for all where the line of all is missing.
    """

    def __init__(self, read: Callable[[], Mapping[str, float | Exception]] = _read_times) -> None:
        self._read = read
        self._before: dict[str, float] = {}
        # A thread that hung may read it in a later poll: that one is not for `times`.
        self._unread = threading.local()

    def ask(self) -> dict[str, float]:
        """Return the shares since the last call.

        All are 0 the first time, and if the kernel has counted no time since. Raises `ValueError` if
        one of the times is not possible: it is part of the whole.
        """
        self._unread.times = None
        found = self._unread.times = self._read()
        now: dict[str, float] = {}
        for name, time in found.items():
            if isinstance(time, Exception):
                why = f"the time of {name} is not known: {time}"
                raise ValueError(why) from time  # noqa: TRY004 - it is no wrong type
            now[name] = time
        before, self._before = self._before or now, now
        # The kernel's idle time sometimes goes back a little.
        spent = {name: max(0.0, time - before.get(name, time)) for name, time in now.items()}
        # `user` and `nice` already include the guests' time.
        whole = sum(time for name, time in spent.items() if not name.startswith("guest"))
        return {
            name: round(100 * time / whole, 1) if whole else 0.0 for name, time in spent.items()
        }

    def times(self) -> Mapping[str, float | Exception]:
        """Return the times that the last shares were computed from: one reading serves both.

        A second call without `ask` in between reads the times again.
        """
        unread: Any = getattr(self._unread, "times", None)
        self._unread.times = None
        found: Mapping[str, float | Exception] = unread or self._read()
        return found


_SHARES = Shares()


#: Our names, and those of the lines in `/proc/stat`.
_LINES: Final = (("ctx_switches", "ctxt"), ("interrupts", "intr"), ("soft_interrupts", "softirq"))
_NUMBER: Final = re.compile(r"[0-9]{1,20}\b")


def counters(lines: str) -> dict[str, int | Exception]:
    r"""Return the counters in `/proc/stat`. It takes a quarter of the time of `psutil.cpu_stats`.

    >>> counters("cpu 1 2\nintr 90 7 0\nctxt 50\nbtime 9\nsoftirq 30 4\n")
    {'ctx_switches': 50, 'interrupts': 90, 'soft_interrupts': 30, 'syscalls': 0}
    """
    found = {ours: _first_number(lines, name) for ours, name in _LINES}
    return {**found, "syscalls": 0}


def _first_number(lines: str, name: str) -> int | Exception:
    at = lines.find(f"\n{name} ")
    number = _NUMBER.match(lines, at + len(name) + 2) if at >= 0 else None
    return int(number[0]) if number else ValueError(f"/proc/stat has no number of {name}")


def prime() -> None:
    """Start the interval over which the first poll's shares are measured."""
    with suppress(Exception):  # the first poll will report the same error
        _SHARES.ask()


def sources(_: Plan) -> tuple[Source, ...]:
    """All sources. A driver may take seconds to report the frequency."""
    return (
        MeanFrequency(),
        Fields(_SHARES_OF_TIME, _SHARES.ask),
        Fields(_TIMES_SPENT, _SHARES.times),
        Fields(_COUNTERS, lambda: counters(host.proc(_STAT))),
    )

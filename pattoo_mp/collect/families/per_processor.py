"""The times and the frequency of each processor, as separate series."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families._frequencies import NONE, by_processor
from pattoo_mp.collect.families.processor import TIMES
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source

# fmt: off
_TIMES_SPENT: Final = Table(
    "per_processor.times", "Each processor: times", "per_processor_times_", COUNTER64,
    tuple(
        Metric(name, COUNTER64, "seconds", f"{title} (Time of one CPU)",
               f"Time of the processor spent {use}.")
        for name, title, use in TIMES
    ),
    (Label("per_processor_number", "CPU Number",
           "The kernel's number of the logical processor, from 0.", prometheus="cpu"),),
    exported={
        "user": Exported("node_cpu_seconds_total", (("mode", "user"),), help="Time of the processor spent in each mode."),
        "nice": Exported("node_cpu_seconds_total", (("mode", "nice"),), help="Time of the processor spent in each mode."),
        "system": Exported("node_cpu_seconds_total", (("mode", "system"),), help="Time of the processor spent in each mode."),
        "idle": Exported("node_cpu_seconds_total", (("mode", "idle"),), help="Time of the processor spent in each mode."),
        "iowait": Exported("node_cpu_seconds_total", (("mode", "iowait"),), help="Time of the processor spent in each mode."),
        "irq": Exported("node_cpu_seconds_total", (("mode", "irq"),), help="Time of the processor spent in each mode."),
        "softirq": Exported("node_cpu_seconds_total", (("mode", "softirq"),), help="Time of the processor spent in each mode."),
        "steal": Exported("node_cpu_seconds_total", (("mode", "steal"),), help="Time of the processor spent in each mode."),
        "guest": Exported("node_cpu_guest_seconds_total", (("mode", "user"),), help="Time of the processor spent in virtual machines that this host runs."),
        "guest_nice": Exported("node_cpu_guest_seconds_total", (("mode", "nice"),), help="Time of the processor spent in virtual machines that this host runs."),
    },
)

_FREQUENCY: Final = Table(
    "per_processor.frequency", "Each processor: frequency", "per_processor_", FLOAT,
    (
        Metric("frequency", FLOAT, "MHz", "CPU Frequency (of one CPU)",
               "The processor's current frequency."),
    ),
    (Label("per_processor_clock", "CPU Number",
           "The kernel's number of the logical processor, from 0.", prometheus="cpu"),),
    exported={
        "frequency": Exported("node_cpu_scaling_frequency_hertz", scale=1e6),
    },
)
# fmt: on

TABLES: Final = (_TIMES_SPENT, _FREQUENCY)


_LINE: Final = re.compile(r"cpu([0-9]{1,9}) (.*)")
#: Twenty digits are those of the largest number that the kernel counts to.
_COUNTS: Final = re.compile(r"[0-9]{1,20}(?: [0-9]{1,20})* ?")
_NAMES: Final = tuple(name for name, _, _ in TIMES)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def parse(lines: str) -> dict[str, Row]:
    r"""Return the times of each processor in `/proc/stat`, by its number there.

    A processor that is offline has no line, and the others keep their numbers.

    >>> parse("cpu  300 0\ncpu0 100 0\ncpu2 200 0\nintr 5\n")
    {'0': {'user': 1.0, 'nice': 0.0}, '2': {'user': 2.0, 'nice': 0.0}}
    """
    # Processors come first; the next line has a number for each interrupt, and may be very long.
    found = map(_LINE.fullmatch, lines.partition("\nintr")[0].split("\n"))
    return {match[1]: _times_of(match[2]) for match in found if match}


def _times_of(counts: str) -> Row:
    if not _COUNTS.fullmatch(counts):
        return ValueError(f"{counts[:40]!r} are not times")
    times = [int(ticks) / _TICKS_PER_S for ticks in counts.split()]
    return dict(zip(_NAMES, times, strict=False))


def _frequencies() -> dict[str, Row]:
    return {
        str(number): mhz if isinstance(mhz, Exception) else {"frequency": mhz}
        for number, mhz in by_processor().items()
    }


def sources(_: Plan) -> tuple[Source, ...]:
    """The times, and the frequencies: a driver may take seconds to report those of many processors."""
    times = Rows(_TIMES_SPENT, lambda: parse(host.proc("stat")), "the kernel reports no processor")
    return (times, Rows(_FREQUENCY, _frequencies, NONE))

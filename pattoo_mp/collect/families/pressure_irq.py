"""Pressure of interrupts: how much of the time tasks waited while interrupts were handled.

From `/proc/pressure/irq`, of Linux 6.1 and later if it was built with `CONFIG_IRQ_TIME_ACCOUNTING`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families.pressure import parse
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_IRQ: Final = Table(
    "pressure_irq", "Pressure: interrupts", "pressure_irq_", FLOAT,
    (
        Metric("full_avg10", FLOAT, "percent", "Interrupt Pressure (10 Seconds)",
               "Share of the last 10 seconds in which tasks waited for interrupts to be handled."),
        Metric("full_avg60", FLOAT, "percent", "Interrupt Pressure (1 Minute)",
               "The same for the last minute."),
        Metric("full_avg300", FLOAT, "percent", "Interrupt Pressure (5 Minutes)",
               "The same for the last 5 minutes."),
        Metric("full_total", COUNTER64, "microseconds", "Interrupt Pressure",
               "Time in which tasks waited for interrupts to be handled."),
    ),
)
# fmt: on

TABLES: Final = (_IRQ,)


def _read() -> dict[str, Value | Exception]:
    return host.described(_IRQ, parse(host.proc("pressure/irq")))


def sources(_: Plan) -> tuple[Source, ...]:
    """The kernel's file, which has one line."""
    return (Fields(_IRQ, _read),)

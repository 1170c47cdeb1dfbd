"""Pressure: how much of the time tasks were stalled, waiting for a processor, memory or I/O.

The kernel's pressure stall information (PSI), from `/proc/pressure` (Linux 4.20 and later, unless it
was built or booted without PSI). See Documentation/accounting/psi.rst in the kernel.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

#: The file in `/proc/pressure`, a heading, and the noun for the description.
_RESOURCES: Final = (
    ("cpu", "CPU", "a processor"),
    ("memory", "Memory", "memory"),
    ("io", "I/O", "I/O"),
)
_WHO: Final = (("some", "Some", "at least one task"), ("full", "Full", "every task that had work"))
_AVERAGES: Final = (("avg10", "10 Seconds"), ("avg60", "1 Minute"), ("avg300", "5 Minutes"))


def _metrics(title: str, resource: str) -> Iterator[Metric]:
    for who, who_title, who_waits in _WHO:
        for name, window in _AVERAGES:
            yield Metric(
                f"{who}_{name}", FLOAT, "percent", f"{title} Pressure ({who_title}, {window})",
                f"Share of the last {window.lower()} in which {who_waits} waited for {resource}.",
            )  # fmt: skip
        yield Metric(
            f"{who}_total", COUNTER64, "microseconds", f"{title} Pressure ({who_title})",
            f"Time in which {who_waits} waited for {resource}.",
        )  # fmt: skip


def _exported(resource: str) -> dict[str, Exported]:
    """Return the times that node_exporter gives; of the processor it gives only the first."""
    name = f"node_pressure_{resource}_{{}}_seconds_total"
    waiting = {"some_total": Exported(name.format("waiting"), scale=1e-6)}
    if resource == "cpu":
        return waiting
    return waiting | {"full_total": Exported(name.format("stalled"), scale=1e-6)}


TABLES: Final = tuple(
    Table(
        f"pressure.{name}", f"Pressure: {title}", f"pressure_{name}_", FLOAT,
        tuple(_metrics(title, resource)),
        exported=_exported(name),
    )
    for name, title, resource in _RESOURCES
)  # fmt: skip


#: The kernel writes two decimals. Its averages are computed with an error of rounding.
_PERCENT: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,9})?")
_WHOLE: Final = 101.0


def parse(lines: str) -> dict[str, Value | Exception]:
    """Return the figures of one file, by line and name. Raises `ValueError`.

    A figure that is not one is an exception.

    >>> parse("some avg10=0.50 avg60=0.00 avg300=0.00 total=87")
    {'some_avg10': 0.5, 'some_avg60': 0.0, 'some_avg300': 0.0, 'some_total': 87}
    """
    found: dict[str, Value | Exception] = {}
    for line in filter(None, lines.split("\n")):
        who, *pairs = line.split()
        for name, _, value in (pair.partition("=") for pair in pairs):
            found[f"{who}_{name}"] = (
                host.count_or_error(value) if name == "total" else _percent(value)
            )
    return found


def _percent(text: str) -> float | Exception:
    if not _PERCENT.fullmatch(text) or float(text) > _WHOLE:
        return ValueError(f"{text[:40]!r} is not a share of time in percent")
    return float(text)


def _read(table: Table, file: str) -> dict[str, Value | Exception]:
    return host.described(table, parse(host.proc(file)))


def sources(_: Plan) -> tuple[Source, ...]:
    """A source for each resource: the kernel may report one and not another."""
    return tuple(
        Fields(table, partial(_read, table, f"pressure/{name}"))
        for table, (name, _, _) in zip(TABLES, _RESOURCES, strict=True)
    )

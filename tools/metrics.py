"""Text from the families' tables for the documentation: every series and every label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host, registry
from pattoo_mp.config.families import EVERY, ORIGINAL
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER
from pattoo_mp.wire.checksum import NOT_HASHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pattoo_mp.collect.table import Label, Metric, Table

_TYPES: Final = {INTEGER: "integer", FLOAT: "float", COUNTER64: "counter"}


def metrics() -> str:
    """Return a section for each table, with a table of its series and one of its labels."""
    return "\n".join(
        line
        for name in EVERY
        for table in registry.tables((name,))
        for line in _section(name, table)
    )


def host_labels() -> str:
    """Return a table of the metadata that every series carries."""
    return "\n".join(_labels(host.LABELS))


def _section(family: str, table: Table) -> Iterable[str]:
    yield f"## {table.title}"
    yield ""
    state = "on" if family in ORIGINAL else "off"
    yield f"Family `{family}`, {state} by default. In the log and the status: `{table.name}`."
    yield ""
    if table.labels:
        yield "A series for each, identified by:"
        yield ""
        yield from _labels(table.labels)
        yield ""
    yield from _rows(
        ("Key", "Unit", "Type", "Meaning"), [_metric(table, metric) for metric in table.metrics]
    )
    yield ""


def _metric(table: Table, metric: Metric) -> tuple[str, ...]:
    data_type = f"{_TYPES[metric.data_type]} ({metric.data_type})"
    return f"`{table.key(metric)}`", metric.unit, data_type, metric.meaning


def _labels(labels: Iterable[Label]) -> Iterable[str]:
    return _rows(("Label", "Meaning"), [(f"`{label.key}`", _meaning(label)) for label in labels])


def _meaning(label: Label) -> str:
    if label.key in NOT_HASHED:
        return f"{label.meaning} A new one does not make another series."
    return label.meaning


def _rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"

"""The names of all metrics in Prometheus: the file that the uploader reads, and tables for the docs.

What node_exporter gives too has its name, which stands in the family's table. The others are named by
Prometheus's guide (https://prometheus.io/docs/practices/naming/): `pattoo_<key>_<unit>`, in base units,
with `_total` at the end of counters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pattoo_mp
from pattoo_mp.collect import registry
from pattoo_mp.collect.table import Exported
from pattoo_mp.config.families import EVERY
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.collect.table import Metric, Table

SHIPPED: Final = Path(pattoo_mp.__file__).parent / "upload" / "remote_write" / "names.json"

#: Types of metrics, as the protocol of remote write numbers them.
UNKNOWN, COUNTER, GAUGE = range(3)
#: Of these, node_exporter does not say of which type they are, whatever they are.
_UNTYPED: Final = ("node_netstat_", "node_vmstat_")
_TOTAL: Final = "_total"
#: Our units: the base unit, and the factor. Units of what is counted stay as they are.
_BASE: Final = {
    "percent": ("ratio", 0.01),
    "milliseconds": ("seconds", 1e-3),
    "microseconds": ("seconds", 1e-6),
    "kibibytes": ("bytes", 1024.0),
    "MHz": ("hertz", 1e6),
    "degrees Celsius": ("celsius", 1.0),
    "megabits per second": ("bytes_per_second", 125e3),
    "revolutions per minute": ("rpm", 1.0),
    "yes or no": ("", 1.0),
}
#: Words of keys: a percentage becomes a ratio, a total ends the name, and a count is part of a histogram.
_SAID_OTHERWISE: Final = frozenset({"percent", "total", "count"})
#: The units that metadata has; what is counted is no unit.
UNITS: Final = ("bytes", "celsius", "hertz", "ratio", "rpm", "seconds", "watts")


class Named(NamedTuple):
    """A metric in Prometheus: our value times `scale` is its value."""

    name: str
    kind: int
    unit: str
    scale: float
    help: str
    labels: dict[str, str]


def named(table: Table, metric: Metric) -> Named:
    """Return the name of a metric and all that belongs to it."""
    exported = table.exported.get(metric.name) or _by_guide(table, metric)
    name = exported.name
    unit = next((unit for unit in UNITS if unit in name.split("_")), "")
    text = exported.help or metric.meaning
    return Named(name, _kind(name), unit, exported.scale, text, dict(exported.labels))


def _by_guide(table: Table, metric: Metric) -> Exported:
    unit, scale = _BASE.get(metric.unit, (metric.unit, 1.0))
    words = [word for word in table.key(metric).split("_") if word not in _SAID_OTHERWISE]
    # No unit twice: neither `processes` in `process_count`.
    if unit and not {unit, unit.removesuffix("s"), unit.removesuffix("es")} & set(words):
        words.append(unit)
    total = _TOTAL if metric.data_type == COUNTER64 else ""
    return Exported(f"pattoo_{'_'.join(words)}{total}", scale=scale)


def _kind(name: str) -> int:
    if name.startswith(_UNTYPED):
        return UNKNOWN
    return COUNTER if name.endswith(_TOTAL) else GAUGE


def every() -> Iterator[tuple[str, Table, Metric]]:
    """Yield each metric with its family and table."""
    for family in EVERY:
        for table in registry.tables((family,)):
            for metric in table.metrics:
                yield family, table, metric


def names_file() -> str:
    """Return the uploader's file: all metrics by key, one in a line, and the labels by ours."""
    keys = {table.key(metric): named(table, metric) for _, table, metric in every()}
    labels = {label.key: label.prometheus for table in registry.tables() for label in table.labels}
    lines = ",\n".join(f"{json.dumps(key)}:{_compact(value)}" for key, value in keys.items())
    return f'{{"labels":{_compact(labels)},\n"metrics":{{\n{lines}\n}}}}\n'


def _compact(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def tables() -> str:
    """Return a table of the names of each family, for the documentation."""
    return "\n".join(line for name in EVERY for line in _section(name))


def _section(family: str) -> Iterator[str]:
    yield f"### `{family}`"
    yield ""
    yield "| Key | Name in Prometheus | Its value |"
    yield "|---|---|---|"
    for table in registry.tables((family,)):
        own = [label.prometheus for label in table.labels if label.prometheus]
        for metric in table.metrics:
            found = named(table, metric)
            inner = [*own, *(f'{name}="{value}"' for name, value in found.labels.items())]
            labels = f"{{{','.join(inner)}}}" if inner else ""
            value = "ours" if found.scale == 1 else f"ours times {found.scale:g}"
            yield f"| `{table.key(metric)}` | `{found.name}{labels}` | {value} |"
    yield ""

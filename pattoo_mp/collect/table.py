"""Tables, the only definition of each family's series: keys, types, units and titles.

A source makes its series from its table. The translations, the metrics page and `--once` use the
same lines, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pattoo_mp.model import Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.model import Pair


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of a table: a figure of the host, or of each of its devices.

    `name` is the end of the key, and psutil's name of the field if psutil has it. `unit` is a word
    in the plural, in lower case (`bytes`, `reads`). `title` is the title of the chart.
    """

    name: str
    data_type: int
    unit: str
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Label:
    """One metadata key, which says what device the figures of a series belong to.

    `prometheus` is the label's name in Prometheus; without one, its series there lack it.
    """

    key: str
    title: str
    meaning: str
    prometheus: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """The series of node_exporter that a metric is: its name, and labels that are always the same.

    Our value times `scale` is the value there. `help` describes a series that several metrics share.
    """

    name: str
    labels: tuple[Pair, ...] = ()
    scale: float = 1.0
    help: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The series of one source.

    `name` is the source's. A key is `prefix` and the name of a metric. `labels` are the metadata
    that its series carry besides the host's. A field of psutil without a line becomes a series too,
    of the type `otherwise`. `exported` has the metrics that node_exporter gives too, by name; the
    others get a name in Prometheus from their key and unit (`tools/prometheus_names.py`).
    """

    name: str
    title: str
    prefix: str
    otherwise: int
    metrics: tuple[Metric, ...] = ()
    labels: tuple[Label, ...] = ()
    exported: Mapping[str, Exported] = field(default_factory=dict)

    def key(self, metric: Metric) -> str:
        """Return the key of a metric's series."""
        return f"{self.prefix}{metric.name}"

    def metric(self, name: str) -> Metric:
        """Return the line of a field, or a generic one if the table does not describe it."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        words = name.replace("_", " ")
        return Metric(name, self.otherwise, "", f"{self.title} ({words})", "As psutil reports it.")

    def series(self, name: str, metadata: tuple[Pair, ...]) -> Series:
        """Return the series of a field, with its metadata."""
        metric = self.metric(name)
        return Series(self.key(metric), metric.data_type, metadata)

"""Tables, the only definition of each family's series: keys, types, units and titles.

A source makes its series from its table. The translations, the metrics page and `--once` use the
same lines, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pattoo_mp.model import Series

if TYPE_CHECKING:
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
    """One metadata key, which says what device the figures of a series belong to."""

    key: str
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """The series of one source.

    `name` is the source's. A key is `prefix` and the name of a metric. `labels` are the metadata
    that its series carry besides the host's. A field of psutil without a line becomes a series too,
    of the type `otherwise`.
    """

    name: str
    title: str
    prefix: str
    otherwise: int
    metrics: tuple[Metric, ...] = ()
    labels: tuple[Label, ...] = ()

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

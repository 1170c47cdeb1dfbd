"""What a family says of its series before any host was asked: the one place of keys, types and units.

A source makes its series by its table. The translations, the metrics page and `--once` are made
from the same lines, so none of them can say anything else.
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

    `name` ends the key, and is psutil's name of the field where psutil has one. `unit` is a word
    in the plural, in small letters (`bytes`, `reads`); `title` is what a chart is headed with.
    """

    name: str
    data_type: int
    unit: str
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Label:
    """One metadata key, which tells what the figures of a series are about."""

    key: str
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """The series of one source.

    `name` is the source's. A key is `prefix` and the name of a metric. `labels` are the metadata
    that its series carry beside the host's. A field that psutil gives and no line describes is a
    series all the same, of the type `otherwise`.
    """

    name: str
    title: str
    prefix: str
    otherwise: int
    metrics: tuple[Metric, ...] = ()
    labels: tuple[Label, ...] = ()

    def key(self, metric: Metric) -> str:
        """The key of a metric's series."""
        return f"{self.prefix}{metric.name}"

    def metric(self, name: str) -> Metric:
        """The line of a field, or one that says what little is known of it."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        words = name.replace("_", " ")
        return Metric(name, self.otherwise, "", f"{self.title} ({words})", "As psutil gives it.")

    def series(self, name: str, metadata: tuple[Pair, ...]) -> Series:
        """The series of a field, with the metadata that it is to carry."""
        metric = self.metric(name)
        return Series(self.key(metric), metric.data_type, metadata)

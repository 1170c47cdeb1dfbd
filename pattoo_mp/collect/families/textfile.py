"""Text files: the operator's own figures, from files in Prometheus's text format.

The convention is that of node_exporter's textfile collector: each file is written under a temporary
name and renamed to one that ends in `.prom`.

The number of different series is limited. A server creates only about 50 new ones a second, and labels
that change with each run of a job would create new series without end and fill its database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import (
    CardinalityLimit,
    Directory,
    Figure,
    Identity,
    TextFile,
    figures,
    sort_key,
)
from pattoo_mp.collect.source import Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Value

    Name = tuple[str, tuple[Pair, ...]]
    Files = Mapping[str, TextFile[tuple[Figure, ...]]]

# fmt: off
_FILES: Final = Table(
    "textfile", "Text files", "textfile_", FLOAT,
    (
        Metric("file_age", FLOAT, "seconds", "Text File (Age)",
               "Time since the file was written. It keeps growing if its writer has stopped."),
    ),
    (
        Label("textfile_file", "Text File",
              "The file's name. Only the age carries it: figures may move to another file.", prometheus="file"),
    ),
)
# fmt: on

TABLES: Final = (_FILES,)

#: Limit for the different series of all files within a day.
MAX_SERIES: Final = 1000
_TOO_MANY: Final = f"more than {MAX_SERIES} different series within a day; the rest is left out"
_NO_DIRECTORY: Final = "textfile_directory is not set; expected the directory of the files"


class TextFiles:
    """A source of the figures in a directory's files, and of the age of each file.

    If several files have a figure with the same name and labels, the file that is first by name wins.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = None if directory is None else Directory(directory, figures)
        self._files: Files | None = None
        self._merged = Merged()
        self._limit: CardinalityLimit[Identity] = CardinalityLimit(MAX_SERIES)
        self._nothing = "" if directory else _NO_DIRECTORY
        try:  # before the first poll, and reported before the first file comes
            if directory:
                _prometheus.parser()
        except ImportError as error:
            self._nothing = str(error)

    @property
    def name(self) -> str:
        """The table's."""
        return _FILES.name

    def read(self) -> Sample:
        """Read the files that have changed. Raises `OSError` if the directory cannot be read."""
        if self._directory is None or self._nothing:
            return Sample((), (), {self.name: self._nothing})
        files = self._directory.files()
        if files != self._files:
            self._merged = merge(files, self._limit)
            self._files = files
        now = time.time()
        ages = (round(now - written_s, 3) for written_s in self._merged.written_s)
        return Sample(self._merged.identities, [*self._merged.values, *ages], self._merged.left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """Return a series for each figure, and one for the age of each file."""
        return [
            Series(identity.key, identity.data_type, (*host, *identity.labels))
            for identity in shape
        ]


@dataclass(frozen=True, slots=True)
class Merged:
    """The figures of all files, and a note for each thing that is left out.

    The first `identities` belong to `values`. The rest are the ages of files; `written_s` holds the
    time of writing (Unix time) for each.
    """

    identities: tuple[Identity, ...] = ()
    values: tuple[Value, ...] = ()
    written_s: tuple[float, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def merge(files: Files, limit: CardinalityLimit[Identity]) -> Merged:
    """Merge the figures of all files: each once, and no more series than `limit` admits."""
    found: dict[Name, Figure] = {}
    ages: dict[Identity, float] = {}
    left_out: dict[str, str] = {}
    for name, file in files.items():
        duplicates = _add(file.content or (), found)
        if note := file.note or duplicates:
            left_out[f"{_FILES.name} {name}"] = note
        if file.written_s is not None:
            ages[_age_identity(name)] = file.written_s
    values = dict(found.values())
    admitted = limit.admit((*ages, *values))
    if len(admitted) < len(ages) + len(values):
        left_out[f"{_FILES.name} series"] = _TOO_MANY
    kept_values = [identity for identity in sorted(values, key=sort_key) if identity in admitted]
    kept_ages = [identity for identity in ages if identity in admitted]
    return Merged(
        (*kept_values, *kept_ages),
        tuple(values[identity] for identity in kept_values),
        tuple(ages[identity] for identity in kept_ages),
        left_out,
    )


def _age_identity(file: str) -> Identity:
    (age,), (label,) = _FILES.metrics, _FILES.labels
    return Identity(_FILES.key(age), age.data_type, ((label.key, file),))


def _add(figures_of_file: Iterable[Figure], found: dict[Name, Figure]) -> str:
    """Add the figures that are not in `found` yet. Return a note about the others, or "".

    The type does not count: two series of one name and labels could not be told apart.
    """
    duplicates = 0
    for figure in figures_of_file:
        identity, _ = figure
        if found.setdefault((identity.key, identity.labels), figure) is not figure:
            duplicates += 1
    return f"duplicate figures are left out: {duplicates}" if duplicates else ""


def sources(plan: Plan) -> tuple[Source, ...]:
    """The files of the directory."""
    return (TextFiles(plan.filters.textfile_directory),)

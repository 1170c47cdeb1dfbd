"""How many different series somebody else may make: a server makes only about 50 new ones a second.

Labels that change with each run of a job would make new series for ever, and fill a database.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import Directory, Figure, Identity, TextFile, figures
from pattoo_mp.collect.source import Limited, Sample, Shape
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from pathlib import Path

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Pair, Value

    Name = tuple[str, tuple[Pair, ...]]
    Files = Mapping[str, TextFile[tuple[Figure, ...]]]


S = TypeVar("S", bound="Hashable")

_DAY_S: Final = 86_400.0


class CardinalityLimit(Generic[S]):
    """Admits `most` different ones at most; one that has been gone for a day makes room.

    Who was admitted once, and has not been gone for so long, is admitted again.
    """

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._present: set[S] = set()
        self._gone_at: dict[S, float] = {}

    def admit(self, filters: Iterable[S]) -> set[S]:
        """Those of `filters` that are admitted, the first ones first."""
        now = self._monotonic()
        known = {one: at for one, at in self._gone_at.items() if now - at < _DAY_S}
        known |= dict.fromkeys(self._present, now)
        self._present = set()
        for one in filters:
            if known.pop(one, None) is not None or len(known) + len(self._present) < self._most:
                self._present.add(one)
        self._gone_at = known
        return self._present


# Text files: figures of the host's operator, from files in Prometheus's text format.
#
# The convention is that of node_exporter's textfile collector: each file is written under another
# name and renamed to one that ends in `.prom`.

# fmt: off
_FILES: Final = Table(
    "textfile", "Text files", "textfile_", FLOAT,
    (
        Metric("file_age", FLOAT, "seconds", "Text File (Age)",
               "Time since the file was written: it grows where what writes it has ended."),
    ),
    (
        Label("textfile_file", "Text File",
              "The file's name. Only its age carries it: what is in the file may move to another."),
    ),
)
# fmt: on

TABLES: Final = (_FILES,)

#: Different series within a day, those of all files together.
MOST_SERIES: Final = 1000
_TOO_MANY: Final = f"more than {MOST_SERIES} different series within a day; the rest is left out"
_NO_DIRECTORY: Final = "textfile_directory is not set; expected the directory of the files"


class TextFiles:
    """The age of each file of a directory, and the figures in them.

    Of two figures with the same name and labels the first counts, in the order of the files' names.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = None if directory is None else Directory(directory, figures)
        self._files: Files | None = None
        self._merged = Merged()
        self._admission: CardinalityLimit[Identity] = CardinalityLimit(MOST_SERIES)
        with suppress(ImportError):  # which is told when the parser is wanted
            if directory:
                _prometheus.parser()

    @property
    def name(self) -> str:
        """The table's."""
        return _FILES.name

    def read(self) -> Sample:
        """Look at the files now. Raises `OSError` for the directory as a whole."""
        if self._directory is None:
            return Sample((), (), {self.name: _NO_DIRECTORY})
        files = self._directory.files()
        if files != self._files:
            self._merged = merge(files, self._admission)
            self._files = files
        now = time.time()
        ages = (round(now - written_s, 3) for written_s in self._merged.written_s)
        return Sample(self._merged.identities, [*self._merged.values, *ages], self._merged.left_out)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure, and one for the age of each file."""
        return [Series(one.key, one.data_type, (*host, *one.labels)) for one in shape]


@dataclass(frozen=True, slots=True)
class Merged:
    """The figures of all files as a poll has them, and what is left out of it.

    `values` are of the first of `identities`; the others are the ages of files, each of which was
    written at `written_s` (Unix time).
    """

    identities: tuple[Identity, ...] = ()
    values: tuple[Value, ...] = ()
    written_s: tuple[float, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def merge(files: Files, admission: CardinalityLimit[Identity]) -> Merged:
    """The figures of all files, each once, and no more of them than are admitted."""
    found: dict[Name, Figure] = {}
    ages: dict[Identity, float] = {}
    left_out: dict[str, str] = {}
    for name, file in files.items():
        twice = _add(file.content or (), found)
        if problem := file.problem or twice:
            left_out[f"{_FILES.name} {name}"] = problem
        if file.written_s is not None:
            ages[_age(name)] = file.written_s
    values = dict(found.values())
    admitted = admission.admit((*ages, *values))
    if len(admitted) < len(ages) + len(values):
        left_out[f"{_FILES.name} series"] = _TOO_MANY
    kept = [one for one in sorted(values, key=_place) if one in admitted]
    aged = [one for one in ages if one in admitted]
    return Merged(
        (*kept, *aged),
        tuple(values[one] for one in kept),
        tuple(ages[one] for one in aged),
        left_out,
    )


def _age(file: str) -> Identity:
    (age,), (label,) = _FILES.metrics, _FILES.labels
    return Identity(_FILES.key(age), age.data_type, ((label.key, file),))


def _place(one: Identity) -> tuple[object, ...]:
    """Figures with the same labels stand together."""
    return one.labels, one.key


def _add(own: Iterable[Figure], found: dict[Name, Figure]) -> str:
    """Add the figures of a file that are not there yet. Returns what is to be told of the others.

    A name and labels with two types would be two series that nobody can tell apart.
    """
    twice = 0
    for figure in own:
        identity, _ = figure
        if found.setdefault((identity.key, identity.labels), figure) is not figure:
            twice += 1
    return f"figures that were given before are left out: {twice}" if twice else ""


def sources(plan: Plan) -> tuple[Source, ...]:
    """Its directory may be a dead file server's."""
    return (Limited(TextFiles(plan.filters.textfile_directory), plan.together()),)

"""A source that answers for several devices, with figures of its own for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pattoo_mp.collect.source import Sample, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Pair, Series, Value


@dataclass(frozen=True, slots=True)
class Rows:
    """`ask` gives the figures of each device by name; one may have fewer of them than another.

    A series carries the name of its device under the table's one label. A host that has no such
    device at all is told of in the words of `none`.
    """

    table: Table
    ask: Callable[[], Mapping[str, Mapping[str, Value]]]
    none: str
    wanted: Callable[[str], bool] = bool

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def read(self) -> Sample:
        """Ask for all wanted devices. Raises `NotImplementedError` if there is none, wanted or not."""
        answer = self.ask()
        if not answer:
            raise NotImplementedError(self.none)
        rows = {name: figures for name, figures in answer.items() if self.wanted(name)}
        values = [value for figures in rows.values() for value in figures.values()]
        return Sample(tuple((name, *figures) for name, figures in rows.items()), values)

    def series(self, shape: Shape, host: tuple[Pair, ...]) -> list[Series]:
        """One for each figure of each device."""
        (label,) = self.table.labels
        return [
            self.table.series(figure, (*host, (label.key, device)))
            for device, *figures in shape
            for figure in figures
        ]

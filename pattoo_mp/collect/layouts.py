"""Makes the layouts of polls. A large layout is divided, so that a change costs what has changed.

On a container host thousands of mounts and interfaces may come and go all the time. The layout of
each poll then differs from the one before it by a device or two. So it is divided into parts, and a
part without a change is taken from the layout before. See decision 31.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.model import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pattoo_mp.collect.source import Shape, Source
    from pattoo_mp.model import Origin, Pair, Series

#: An element of a shape, with the index of its source.
Element = tuple[int, Any]
Run = tuple[Element, ...]

#: A layout of so few devices and single figures is not divided: its change costs little.
UNDIVIDED: Final = 128
#: Devices of a part: it has so many at first, and no more than the most later.
_FIRST: Final = 16
_MOST: Final = 2 * _FIRST
#: A part that has lost devices is joined with the next one if it has fewer than this.
_LEAST: Final = _FIRST // 4


class LayoutMaker:
    """Makes layouts one after the other, always for the same sources."""

    def __init__(self) -> None:
        self._made_for: tuple[Any, ...] = ()
        self._parts: dict[Run, Layout] = {}
        self._starts: set[Element] = set()
        #: What came and went with the last layout.
        self.added: set[Element] = set()
        self.removed: set[Element] = set()

    def make(
        self,
        sources: Sequence[Source],
        shapes: Sequence[Shape | None],
        origin: Origin,
        interval_ms: int,
        host: tuple[Pair, ...],
    ) -> Layout:
        """Return the layout of sources that answered with `shapes`; `host` is in every series."""
        made_for = (origin, interval_ms, host)
        known = self._parts if made_for == self._made_for else {}
        self._made_for = made_for
        elements = [(i, element) for i, shape in enumerate(shapes) for element in shape or ()]
        runs = self._runs(elements)
        self._parts = {
            run: known.get(run) or Layout(origin, interval_ms, tuple(_series(run, sources, host)))
            for run in runs
        }
        self._note_changes(known)
        parts = [self._parts[run] for run in runs]
        if len(parts) == 1:
            return parts[0]
        return Layout.of_parts(parts)

    def _runs(self, elements: list[Element]) -> list[Run]:
        """Divide the elements where they were divided before, as far as that leaves useful runs.

        So an element that comes or goes changes no run but its own.
        """
        if len(elements) <= UNDIVIDED:
            self._starts = set()
            return [tuple(elements)]
        runs: list[Run] = []
        begin = 0
        for index, element in enumerate(elements):
            length = index - begin
            if length >= _MOST or (element in self._starts and length >= _LEAST):
                runs += _cut(elements[begin:index])
                begin = index
        runs += _cut(elements[begin:])
        self._starts = {run[0] for run in runs}
        return runs

    def _note_changes(self, known: dict[Run, Layout]) -> None:
        new = {element for run in self._parts.keys() - known.keys() for element in run}
        old = {element for run in known.keys() - self._parts.keys() for element in run}
        self.added, self.removed = new - old, old - new


def _cut(elements: list[Element]) -> Iterator[Run]:
    """Cut a run that has become too long, or is new."""
    size = _FIRST if len(elements) >= _MOST else _MOST
    for begin in range(0, len(elements), size):
        yield tuple(elements[begin : begin + size])


def _series(
    elements: Sequence[Element], sources: Sequence[Source], host: tuple[Pair, ...]
) -> Iterator[Series]:
    for index, group in groupby(elements, key=itemgetter(0)):
        yield from sources[index].series(tuple(element for _, element in group), host)


def own_pairs(sources: Sequence[Source], elements: Sequence[Element]) -> set[Pair]:
    """Return the metadata that names the devices of these elements."""
    return {pair for series in _series(elements, sources, ()) for pair in series.metadata}

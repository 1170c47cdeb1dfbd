"""The part of a poll that an output gets: the series of some families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout, Poll
from pattoo_mp.util.recent import Recent
from pattoo_mp.wire.families import family_of

if TYPE_CHECKING:
    from collections.abc import Collection

#: A host that changes all the time must not fill the memory with layouts.
_MOST_LAYOUTS: Final = 64


@dataclass(frozen=True, slots=True)
class _Selected:
    layout: Layout
    numbers: tuple[int, ...]


class FamilySelection:
    """Selects the series of these families from layouts and polls."""

    def __init__(self, families: Collection[str]) -> None:
        self._families = frozenset(families)
        self._known: Recent[str, _Selected] = Recent(_MOST_LAYOUTS)

    def layout(self, layout: Layout) -> Layout:
        """Return the layout with only the wanted series; it may have none."""
        return self._selected(layout).layout

    def poll(self, layout: Layout, poll: Poll) -> Poll:
        """Return the poll for the selected layout. Raises `WireError` if it does not fit `layout`."""
        selected, values = self._selected(layout), poll.values()
        if len(values) != len(layout.series):
            raise WireError(
                f"a poll of {len(values)} values for a layout of {len(layout.series)} series"
            )
        wanted = [values[number] for number in selected.numbers]
        return Poll.of(selected.layout, poll.timestamp_ms, wanted)

    def _selected(self, layout: Layout) -> _Selected:
        return self._known.get(layout.identifier, lambda: self._select(layout))

    def _select(self, layout: Layout) -> _Selected:
        numbers = tuple(
            number
            for number, series in enumerate(layout.series)
            if family_of(series.key) in self._families
        )
        parts = [part for part in map(self._part, layout.parts) if part.series]
        # The encoder keeps the text of each part, so that a change costs what has changed.
        return _Selected(Layout.of_parts(parts) if parts else self._part(layout), numbers)

    def _part(self, part: Layout) -> Layout:
        series = tuple(s for s in part.series if family_of(s.key) in self._families)
        return Layout(part.origin, part.interval_ms, series)

"""Which layouts of a spool's file are needed still.

It is known in memory, for the file has no index of it: that would be paid for with each poll, and to
look for a poll of a layout without one reads all of them. All are read as the file is opened anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Uses:
    """The last poll of each layout, by the layout's row; and the layouts of polls in quarantine.

    A layout that is not known here counts as needed.
    """

    def __init__(self, layouts: Iterable[int] = ()) -> None:
        """Begin with layouts of no poll."""
        self._last = dict.fromkeys(layouts, 0)
        self.set_aside: set[int] = set()

    def copy(self) -> Uses:
        """One to go back to, if what is done meanwhile comes to nothing."""
        copied = Uses()
        copied._last, copied.set_aside = self._last.copy(), self.set_aside.copy()
        return copied

    def note(self, polls: Iterable[tuple[int, int]]) -> None:
        """Polls were added: of each the row of its layout, and its id, which is the greatest yet."""
        self._last.update(polls)

    def past(self, oldest_id: int) -> list[int]:
        """Layouts of polls that are all gone; 0 is the oldest where none is left."""
        return [
            layout
            for layout, last in self._last.items()
            if (last < oldest_id or not oldest_id) and layout not in self.set_aside
        ]

    def forget(self, layout: int) -> None:
        """The layout is gone, too."""
        del self._last[layout]

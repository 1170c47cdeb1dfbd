"""The layouts in a spool file, and which of them are still needed.

The use of layouts is tracked in memory only. The file has no index for it: every poll would pay for
the index, and without one, finding a poll with a given layout means reading all polls. All polls
are read anyway when the file is opened.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout
from pattoo_mp.util.lean_imports import blake2b

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LayoutUse:
    """The last poll of each layout, by the layout's row, and the layouts of quarantined polls.

    A layout that is not known here counts as needed.
    """

    def __init__(self, layouts: Iterable[int] = ()) -> None:
        """Begin with the rows of layouts without polls."""
        self._last = dict.fromkeys(layouts, 0)
        self.quarantined: set[int] = set()

    def copy(self) -> LayoutUse:
        """Return a copy to restore if a transaction fails."""
        copied = LayoutUse()
        copied._last, copied.quarantined = self._last.copy(), self.quarantined.copy()
        return copied

    def note(self, polls: Iterable[tuple[int, int]]) -> None:
        """Note added polls as pairs of layout row and poll id, in the order of the ids."""
        self._last.update(polls)

    def unused(self, oldest_id: int) -> list[int]:
        """Return the layouts whose polls are all gone; `oldest_id` is 0 if no poll is left."""
        return [
            layout
            for layout, last in self._last.items()
            if (last < oldest_id or not oldest_id) and layout not in self.quarantined
        ]

    def forget(self, layout: int) -> None:
        """Note that a layout was removed."""
        del self._last[layout]


class Layouts:
    """The table of layouts in one file. Raises `sqlite3.Error`.

    `handed_out` holds the identifiers of layouts whose polls were handed out last: the
    receiver may still ask for them, so they are not removed.
    """

    def __init__(self, connection: sqlite3.Connection, use: LayoutUse | None = None) -> None:
        self._connection = connection
        self._rows: dict[str, int] = {}
        self.use = use or LayoutUse()
        self.handed_out: frozenset[str] = frozenset()

    def read(self, identifier: str) -> Layout:
        """Return a layout. Raises `WireError` if it is missing or its bytes have changed."""
        row = self._connection.execute(
            "SELECT packed FROM layouts WHERE identifier = ?", (identifier,)
        ).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise WireError(f"the layout {identifier} is not in the spool")
        if blake2b(row[0], digest_size=len(identifier) // 2).hexdigest() != identifier:
            raise WireError(f"the layout {identifier} is damaged")
        return Layout.unpack(row[0])

    def row(self, identifier: str, packed: Mapping[str, bytes]) -> int:
        """Return the row of a layout, and add it from `packed` if it may be new."""
        if identifier not in self._rows:
            if identifier in packed:
                # Replace an existing one, since it may be damaged.
                self._connection.execute(
                    "INSERT INTO layouts (identifier, packed) VALUES (?, ?) "
                    "ON CONFLICT (identifier) DO UPDATE SET packed = excluded.packed",
                    (identifier, packed[identifier]),
                )
            query = "SELECT id FROM layouts WHERE identifier = ?"
            row = self._connection.execute(query, (identifier,)).fetchone()
            if row is None:
                raise sqlite3.IntegrityError(f"the layout {identifier} was never given")
            self._rows[identifier] = int(row[0])
        return self._rows[identifier]

    def rows(self) -> list[int]:
        """Return the rows of all layouts."""
        return [row for (row,) in self._connection.execute("SELECT id FROM layouts")]

    def remember(self, identifiers: set[str]) -> None:
        """Keep the rows of these layouts in memory: the next polls most often have the same."""
        self._rows = {name: row for name, row in self._rows.items() if name in identifiers}

    def remove_unused(self, oldest_id: int) -> None:
        """Remove the layouts that no poll has, here or in quarantine, and that nothing asks for."""
        remembered = set(self._rows.values())
        for row in self.use.unused(oldest_id):
            if row not in remembered and not self._is_handed_out(row):
                self._connection.execute("DELETE FROM layouts WHERE id = ?", (row,))
                self.use.forget(row)

    def roll_back(self, use: LayoutUse) -> None:
        """Restore the state before a failed transaction."""
        self.use = use
        self._rows.clear()

    def _is_handed_out(self, row: int) -> bool:
        query = "SELECT identifier FROM layouts WHERE id = ?"
        found = self._connection.execute(query, (row,)).fetchone()
        return found is not None and found[0] in self.handed_out

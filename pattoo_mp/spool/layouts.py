"""The layouts in a spool file, and which of them are still needed.

The use of layouts is tracked in memory only. The file has no index for it: every poll would pay for
the index, and without one, finding a poll with a given layout means reading all polls. All polls
are read anyway when the file is opened.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import UNDIVIDED_DIGITS, Layout, is_divided, part_identifiers
from pattoo_mp.util.lean_imports import blake2b

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


#: So many groups of spokes keep their layout in the file while no poll waits: those that came last.
_MOST_GROUPS: Final = 50_000
_NONE: Final[Mapping[str, str]] = {}


def unpack(identifier: str, packed: bytes, part: Callable[[str], Layout]) -> Layout:
    """Return the layout that `packed` holds. `part` returns the parts of a divided one.

    Raises `WireError` if the bytes are no layout, and what `part` raises.
    """
    return Layout.join(packed, part) if is_divided(identifier) else Layout.unpack(packed)


class MissingLayoutError(sqlite3.IntegrityError):
    """A poll has a layout that neither came with it nor is in the file, which may be a new one."""


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

    def note_parts(self, layout: int, parts: Iterable[int]) -> None:
        """Note that a divided layout needs `parts` as long as it is needed itself."""
        last = self._last.get(layout, 0)
        for part in parts:
            self._last[part] = max(last, self._last.get(part, 0))
            if layout in self.quarantined:
                self.quarantined.add(part)

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
        #: The parts of divided layouts in `_rows`, with their rows.
        self._parts: dict[str, dict[str, int]] = {}
        self._last_divided = ""
        #: The newest layout of each spoke's group: its next poll, minutes later, most often has it.
        self._of_groups: dict[str, str] = {}
        self.use = use or LayoutUse()
        self.handed_out: frozenset[str] = frozenset()

    def read(self, identifier: str) -> Layout:
        """Return a layout. Raises `WireError` if it is missing or its bytes have changed."""
        return unpack(identifier, self.read_packed(identifier), self.read)

    def read_packed(self, identifier: str) -> bytes:
        """Return the bytes of a layout, or of a part. Raises what `read` raises."""
        row = self._connection.execute(
            "SELECT packed FROM layouts WHERE identifier = ?", (identifier,)
        ).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise WireError(f"the layout {identifier} is not in the spool")
        if blake2b(row[0], digest_size=len(identifier) // 2).hexdigest() != identifier:
            raise WireError(f"the layout {identifier} is damaged")
        return row[0]

    def with_parts(self, identifiers: Iterable[str]) -> frozenset[str]:
        """Return identifiers, with those of the parts of divided layouts that can be read."""
        found = set(identifiers)
        for identifier in filter(is_divided, tuple(found)):
            with suppress(WireError):
                found.update(part_identifiers(self.read_packed(identifier)))
        return frozenset(found)

    def row(self, identifier: str, packed: Mapping[str, bytes]) -> int:
        """Return the row of a layout, and add it from `packed` if it may be new."""
        if identifier not in self._rows:
            if is_divided(identifier):
                self._last_divided = identifier
                self._parts[identifier] = self._part_rows(identifier, packed)
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
                raise MissingLayoutError(f"the layout {identifier} was never given")
            self._rows[identifier] = int(row[0])
        return self._rows[identifier]

    def note(self, polls: Iterable[tuple[str, int]]) -> None:
        """Note added polls as pairs of layout and poll id, in the order of the ids.

        The parts of a divided layout are needed as long as the layout is.
        """
        for identifier, poll_id in polls:
            rows = (self._rows[identifier], *self._parts.get(identifier, {}).values())
            self.use.note((row, poll_id) for row in rows)

    def note_parts(self) -> None:
        """Note the parts of all divided layouts, once the use of the layouts is known."""
        rows: dict[str, int] = {}
        for row, packed in self._connection.execute(
            f"SELECT id, packed FROM layouts WHERE length(identifier) > {UNDIVIDED_DIGITS}"  # noqa: S608
        ):
            rows = rows or self._rows_by_identifier()
            with suppress(WireError):
                self.use.note_parts(row, [rows[i] for i in part_identifiers(packed) if i in rows])

    def quarantine(self, row: int) -> None:
        """Note that a poll of a layout goes into quarantine."""
        self.use.quarantined |= self.rows_of(row)

    def rows_of(self, row: int) -> set[int]:
        """Return the row of a layout, and those of its parts if it is divided."""
        query = "SELECT identifier FROM layouts WHERE id = ?"
        found = self._connection.execute(query, (row,)).fetchone()
        if found is None or not isinstance(found[0], str) or not is_divided(found[0]):
            return {row}
        parts = self.with_parts(found)
        rows = self._rows_by_identifier()
        return {row, *(rows[part] for part in parts if part in rows)}

    def bytes_of(self, rows: set[int]) -> int:
        """Return about how many bytes these layouts take."""
        if not rows:
            return 0
        lengths = self._connection.execute("SELECT id, length(packed) FROM layouts")
        return sum(length or 0 for row, length in lengths if row in rows)

    def rows(self) -> list[int]:
        """Return the rows of all layouts."""
        return [row for (row,) in self._connection.execute("SELECT id FROM layouts")]

    def remember(self, identifiers: set[str], of_groups: Mapping[str, str] = _NONE) -> None:
        """Keep the rows of these layouts in memory: the next polls most often have the same.

        `of_groups` has the newest layout of groups of spokes. Those of all groups are kept.
        """
        for group, identifier in of_groups.items():
            self._of_groups.pop(group, None)
            self._of_groups[group] = identifier
        while len(self._of_groups) > _MOST_GROUPS:
            del self._of_groups[next(iter(self._of_groups))]
        kept = {*identifiers, self._last_divided, *self._of_groups.values()}
        self._parts = {name: parts for name, parts in self._parts.items() if name in kept}
        kept.update(*self._parts.values())
        self._rows = {name: row for name, row in self._rows.items() if name in kept}

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
        self._parts.clear()

    def _part_rows(self, identifier: str, packed: Mapping[str, bytes]) -> dict[str, int]:
        try:
            content = packed.get(identifier) or self.read_packed(identifier)
            identifiers = part_identifiers(content)
        except WireError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        return {part: self.row(part, packed) for part in identifiers}

    def _rows_by_identifier(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT identifier, id FROM layouts").fetchall())

    def _is_handed_out(self, row: int) -> bool:
        query = "SELECT identifier FROM layouts WHERE id = ?"
        found = self._connection.execute(query, (row,)).fetchone()
        return found is not None and found[0] in self.handed_out

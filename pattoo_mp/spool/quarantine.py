"""The quarantine in a spool file: polls that an output's server refuses, or that nothing can read.

They are never sent; they stay as long as there is room, for an operator to look at.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pattoo_mp.spool.layouts import Layouts

#: Rows counted between two calls of `progress`.
_COUNT_BATCH: Final = 4000
#: Bytes of a row besides its content.
_ROW_BYTES: Final = 24
_UNKNOWN: Final = 1 << 62


class Quarantine:
    """The table of quarantined polls in one file. Raises `sqlite3.Error` unchanged.

    `most_bytes` is an upper bound of its size: finding out the size means reading all of it.
    """

    def __init__(self, connection: sqlite3.Connection, layouts: Layouts) -> None:
        self._connection = connection
        self._layouts = layouts
        self.most_bytes = _UNKNOWN

    def add(self, poll_id: int, reason: str, output: str) -> int:
        """Put a copy of a poll into an output's quarantine; return how many there were (0 or 1)."""
        found, layout = self._connection.execute(
            "SELECT total(length(packed)), CAST(layout AS INTEGER) FROM polls WHERE id = ?",
            (poll_id,),
        ).fetchone()
        layouts = self._layouts.bytes_of(self._layouts.rows_of(layout))
        self.most_bytes += _ROW_BYTES + int(found) + layouts + len(reason)
        self._layouts.quarantine(layout or 0)
        return self._connection.execute(
            "INSERT INTO quarantine (layout, timestamp_ms, packed, reason, output) "
            "SELECT layout, timestamp_ms, packed, ?, ? FROM polls WHERE id = ?",
            (reason, output, poll_id),
        ).rowcount

    def shrink(self, max_bytes: int, polls: int) -> Counter[str]:
        """Remove the oldest of the `polls` in quarantine if it is larger than `max_bytes`; one stays.

        Return how many were removed of each output.
        """
        removed: Counter[str] = Counter()
        if not polls or self.most_bytes <= max_bytes:
            return removed
        self.most_bytes = self.bytes()
        if self.most_bytes <= max_bytes:
            return removed
        # Remove a little more than necessary, or each new poll would cause a full read.
        max_bytes = max_bytes * 9 // 10
        while polls - removed.total() > 1:
            left = polls - removed.total()
            used = self.bytes()
            if used <= max_bytes:
                break
            number = min(left - 1, max(1, (used - max_bytes) * left // used))
            found = self._remove("ORDER BY id LIMIT ?", number)
            if not found:
                break
            removed += found
        self.most_bytes = self.bytes()
        self._layouts.remove_unused(self._oldest_poll())
        return removed

    def name_output(self, former: str, name: str) -> None:
        """Give the quarantined polls of an output to that of another name."""
        self._connection.execute(
            "UPDATE quarantine SET output = ? WHERE output = ?", (name, former)
        )

    def remove_output(self, name: str) -> None:
        """Remove the quarantine of an output that is gone."""
        if self._remove("WHERE output = ?", name):
            self._note_layouts()
            self._layouts.remove_unused(self._oldest_poll())

    def _remove(self, which: str, parameter: str | int) -> Counter[str]:
        """Remove rows of the quarantine; return how many of each output."""
        rows = self._connection.execute(
            f"DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine {which}) "  # noqa: S608
            "RETURNING output",
            (parameter,),
        ).fetchall()
        return Counter(str(output) for (output,) in rows)

    def bytes(self) -> int:
        """Return about how many bytes quarantine takes, with layouts. This reads all of it."""
        (rows,) = self._connection.execute(
            f"SELECT total({_ROW_BYTES} + length(packed) + length(reason)) FROM quarantine"  # noqa: S608
        ).fetchone()
        self._note_layouts()
        return int(rows) + self._layouts.bytes_of(self._layouts.use.quarantined)

    def count(self, progress: Callable[[], None]) -> Counter[str]:
        """Count the polls in quarantine of each output, and note their layouts. This reads all."""
        counts: Counter[str] = Counter()
        quarantined = self._layouts.use.quarantined

        def note(found: list[tuple[int, object]]) -> None:
            quarantined.update(row for row, _ in found)
            counts.update(str(output) for _, output in found)

        query = "SELECT CAST(layout AS INTEGER), output FROM quarantine"
        for_each_batch(self._connection.execute(query), note, progress)
        self._layouts.note_parts()
        return counts

    def _note_layouts(self) -> None:
        self._layouts.use.quarantined = {
            layout
            for (layout,) in self._connection.execute(
                "SELECT CAST(layout AS INTEGER) FROM quarantine"
            )
        }
        self._layouts.note_parts()

    def _oldest_poll(self) -> int:
        row = self._connection.execute("SELECT id FROM polls ORDER BY id LIMIT 1").fetchone()
        return int(row[0]) if row else 0


def for_each_batch(
    rows: sqlite3.Cursor,
    note: Callable[[list[Any]], None],
    progress: Callable[[], None],
) -> None:
    """Call `note` with the rows in batches, and `progress` after each full batch."""
    # Row by row: SQLite's count() would swallow an exception raised by a progress handler.
    while found := rows.fetchmany(_COUNT_BATCH):
        note(found)
        if len(found) == _COUNT_BATCH:  # otherwise these were the last
            progress()

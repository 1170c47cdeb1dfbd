"""The spool's tables. They keep layouts and polls, not posts: a later release can send them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from pattoo_mp.errors import WireError
from pattoo_mp.model import Layout, Poll
from pattoo_mp.util import files
from pattoo_mp.util.lean_imports import blake2b

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


VERSION: Final = 1

#: `auto_vacuum` must stand before the first table: the file shrinks again after an outage.
CREATE: Final = f"""
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN;
CREATE TABLE layouts (
    id INTEGER PRIMARY KEY,
    identifier TEXT NOT NULL UNIQUE,
    packed BLOB NOT NULL
);
-- AUTOINCREMENT: an id is never given again, so the order of the ids is the order of the polls.
-- crc: CRC-32 of time and values, since SQLite does not notice a changed byte in a value.
CREATE TABLE polls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    layout INTEGER NOT NULL REFERENCES layouts (id),
    timestamp_ms INTEGER NOT NULL,
    packed BLOB NOT NULL,
    crc INTEGER NOT NULL
);
-- What no server took, kept for a person to look at.
-- Not as strict as the others: what is damaged comes here too.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    layout,
    timestamp_ms,
    packed,
    reason TEXT NOT NULL
);
-- Counts and marks that change in one transaction with what they count.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""

#: A commit is on the disk when it returns, once for each batch. The file is this process's alone, so
#: the journal is put into it whenever it is 4 MB, and is never larger than that and a commit.
#: With foreign keys on, SQLite would read all polls for each layout that goes, for want of an index.
CONNECTION: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = OFF;
PRAGMA journal_size_limit = 4194304;
PRAGMA cache_size = -512;
PRAGMA cell_size_check = ON;
"""

#: A file that nobody needs before it is whole: it is synced as it grows, but each page is written once.
FILLING: Final = """
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = OFF;
PRAGMA cache_size = -512;
"""


# Which layouts of a spool's file are needed still.
#
# It is known in memory, for the file has no index of it: that would be paid for with each poll, and to
# look for a poll of a layout without one reads all of them. All are read as the file is opened anyway.


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


# The spool's SQL: one open file, its rows and its facts. Raises `sqlite3.Error` as it comes.

#: Pages given back to the file system after each delivery; all at once would take long.
_VACUUM_PAGES: Final = 256
#: So many free pages stay: more than a second of polls takes on an ordinary host.
_SPARE_PAGES: Final = 8
#: Rows that are counted between two words of progress.
_COUNTED: Final = 4000
#: What a row takes beside its content.
_ROW_BYTES: Final = 24
_SELECT: Final = (
    "SELECT polls.id, layouts.identifier, timestamp_ms, polls.packed, crc FROM polls "
    "LEFT JOIN layouts ON layouts.id = polls.layout "
)


class OtherSchemaError(Exception):
    """The file was made by another release."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A poll in the spool, by the id under which it is acknowledged.

    `sound` is false if its bytes are not those that were kept.
    """

    id: int
    poll: Poll
    sound: bool = True


class Tables:
    """One file. Not for several threads at a time; its owner sees to that."""

    def __init__(
        self,
        path: Path,
        *,
        to_salvage: bool = False,
        to_fill: bool = False,
        uses: Uses | None = None,
    ) -> None:
        """Open the file, or make it; to salvage, open it to be read as it is.

        One to fill is made, and of no use if that is cut short: it needs no room for a journal.
        `uses` are those of whoever filled it; else they are known once the polls are counted.
        Raises `OtherSchemaError`, `OSError`, `sqlite3.Error`.
        """
        self._path = path
        self._rows: dict[str, int] = {}
        self._facts: dict[str, str | int] = {}
        self.uses = uses or Uses()
        #: The layouts of polls that were given out: who has these may ask for them yet.
        self.given_layouts: frozenset[str] = frozenset()
        if to_salvage:
            self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            # Else SQLite reads nothing of a file that is shorter than it was.
            self._connection.execute("PRAGMA writable_schema = ON")
            return
        # SQLite gives its journal the mode of the file, so the mode must be right from the start.
        os.close(files.open_file(path, os.O_RDWR | os.O_CREAT))
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=1
        )
        try:
            self._set_up(FILLING if to_fill else CONNECTION)
            self._file = self._identity()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def is_there(self) -> bool:
        """Whether the file still lies where it was opened: somebody may have removed or emptied it.

        SQLite may not notice for long, for it keeps pages in memory.
        """
        with suppress(OSError):
            return self._identity() == self._file and self._path.stat().st_size > 0
        return False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do what is inside as a whole or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        uses = self.uses.copy()
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self.uses = uses
            self._rows.clear()
            self._facts.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # --- polls

    def add(self, polls: Sequence[Poll], layouts: Mapping[str, bytes]) -> None:
        """Append polls; `layouts` has those that may be new here."""
        rows = [self._layout_row(poll.layout_id, layouts) for poll in polls]
        self._connection.executemany(
            "INSERT INTO polls (layout, timestamp_ms, packed, crc) VALUES (?, ?, ?, ?)",
            [(row, p.timestamp_ms, p.packed, _crc(p)) for row, p in zip(rows, polls, strict=True)],
        )
        newest = self._number("SELECT id FROM polls ORDER BY id DESC LIMIT 1")
        self.uses.note(zip(rows, range(newest - len(rows) + 1, newest + 1), strict=True))
        self._use({poll.layout_id for poll in polls})

    def restore(self, rows: Sequence[Spooled], layouts: Mapping[str, bytes]) -> int:
        """Put in polls of another file under the ids that they had there; returns how many."""
        # A damaged file may give an id twice.
        restored = self._connection.executemany(
            "INSERT OR IGNORE INTO polls (id, layout, timestamp_ms, packed, crc) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                (
                    row.id,
                    self._layout_row(row.poll.layout_id, layouts),
                    row.poll.timestamp_ms,
                    row.poll.packed,
                    _crc(row.poll),
                )
                for row in rows
            ],
        ).rowcount
        self.uses.note(sorted((self._rows[row.poll.layout_id], row.id) for row in rows))
        self._use({row.poll.layout_id for row in rows})
        return restored

    def begin_after(self, last_id: int) -> None:
        """Give, in a file without polls, no id up to this one."""
        self._connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('polls', ?)", (last_id,)
        )

    def oldest(self, limit: int, after: int = 0) -> list[Spooled]:
        """The oldest polls with an id above `after`, oldest first."""
        return self._read(_SELECT + "WHERE polls.id > ? ORDER BY polls.id LIMIT ?", after, limit)

    def oldest_id(self) -> int:
        """The id of the oldest poll; 0 if there is none."""
        return self._number("SELECT id FROM polls ORDER BY id LIMIT 1")

    def oldest_ms(self) -> int:
        """The time of the oldest poll; 0 if there is none."""
        return self._number("SELECT timestamp_ms FROM polls ORDER BY id LIMIT 1")

    def newest_ms(self, last_id: int) -> int:
        """The time of the newest poll up to an id; 0 if there is none."""
        return self._number(
            "SELECT timestamp_ms FROM polls WHERE id <= ? ORDER BY id DESC LIMIT 1", last_id
        )

    def remove(self, last_id: int) -> int:
        """Remove all polls up to an id; returns how many they were."""
        removed = self._connection.execute("DELETE FROM polls WHERE id <= ?", (last_id,)).rowcount
        self._forget_layouts()
        return removed

    def remove_oldest(self, number: int) -> int:
        """Remove so many of the oldest polls; returns how many there were to remove."""
        removed = self._connection.execute(
            "DELETE FROM polls WHERE id IN (SELECT id FROM polls ORDER BY id LIMIT ?)", (number,)
        ).rowcount
        self._forget_layouts()
        return removed

    def shrink(self, most_bytes: int, polls: int) -> int:
        """Of the `polls` that are here remove the oldest, until the file uses no more; one stays.

        Returns how many went.
        """
        left = polls
        while left > 1 and (excess := self.used_bytes() - most_bytes) > 0:
            share = excess * left // max(1, self.used_bytes())
            removed = self.remove_oldest(min(left - 1, max(1, share)))
            if not removed:
                break
            left -= removed
        return polls - left

    def set_aside(self, poll_id: int, reason: str) -> int:
        """Move a poll into quarantine; returns how many were moved."""
        self.uses.set_aside.add(
            self._number("SELECT CAST(layout AS INTEGER) FROM polls WHERE id = ?", poll_id)
        )
        self._connection.execute(
            "INSERT INTO quarantine (layout, timestamp_ms, packed, reason) "
            "SELECT layout, timestamp_ms, packed, ? FROM polls WHERE id = ?",
            (reason, poll_id),
        )
        return self._connection.execute("DELETE FROM polls WHERE id = ?", (poll_id,)).rowcount

    def shrink_quarantine(self, most_bytes: int, polls: int) -> int:
        """Of the `polls` in quarantine remove the oldest, until they take no more; one stays.

        Returns how many went.
        """
        left = polls
        while left > 1 and (excess := (used := self.quarantine_bytes()) - most_bytes) > 0:
            number = min(left - 1, max(1, excess * left // used))
            removed = self._connection.execute(
                "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY id LIMIT ?)",
                (number,),
            ).rowcount
            if not removed:
                break
            left -= removed
        if left < polls:
            self.uses.set_aside = {layout for layout, _ in self._layouts_of("quarantine")}
            self._forget_layouts()
        return polls - left

    def bytes_of(self, poll_id: int) -> int:
        """About what a poll takes, with its layout."""
        (found,) = self._connection.execute(
            "SELECT total(length(polls.packed) + ifnull(length(layouts.packed), 0)) FROM polls "
            "LEFT JOIN layouts ON layouts.id = polls.layout WHERE polls.id = ?",
            (poll_id,),
        ).fetchone()
        return _ROW_BYTES + int(found)

    def quarantine_bytes(self) -> int:
        """About what the quarantine takes, with the layouts of its polls. All of it is read for that."""
        (rows,), (layouts,) = (
            self._connection.execute(query).fetchone()
            for query in (
                f"SELECT total({_ROW_BYTES} + length(packed) + length(reason)) FROM quarantine",  # noqa: S608
                "SELECT total(length(packed)) FROM layouts "
                "WHERE id IN (SELECT layout FROM quarantine)",
            )
        )
        return int(rows + layouts)

    def count_polls(self, progress: Callable[[], None]) -> int:
        """How many polls there are, of which layouts. All of the file is read for it.

        `progress` is called meanwhile.
        """
        self.uses = Uses(row for (row,) in self._connection.execute("SELECT id FROM layouts"))
        return self._count("polls", self.uses.note, progress)

    def count_quarantined(self, progress: Callable[[], None]) -> int:
        """The same of the quarantine."""
        return self._count(
            "quarantine",
            lambda found: self.uses.set_aside.update(layout for layout, _ in found),
            progress,
        )

    def used_bytes(self) -> int:
        """What the file holds, without the pages that are free."""
        size, pages, free = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        return int(size * (pages - free))

    def give_back_pages(self) -> None:
        """Shrink the file a little, unless the next polls fill what is free anyway.

        To shrink it costs a commit of its own. Only `executescript` runs this PRAGMA for more than a
        page.
        """
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free <= _SPARE_PAGES:
            return
        with suppress(sqlite3.OperationalError):  # what is removed is removed; the pages wait
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")

    # --- layouts

    def layout(self, identifier: str) -> Layout:
        """A layout by its identifier. Raises `WireError` if it is not what was kept."""
        row = self._connection.execute(
            "SELECT packed FROM layouts WHERE identifier = ?", (identifier,)
        ).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise WireError(f"the layout {identifier} is not in the spool")
        if blake2b(row[0], digest_size=len(identifier) // 2).hexdigest() != identifier:
            raise WireError(f"the layout {identifier} is damaged")
        return Layout.unpack(row[0])

    # --- facts

    def facts(self) -> dict[str, Any]:
        """All facts, by their names."""
        return dict(self._connection.execute("SELECT name, value FROM facts").fetchall())

    def fact(self, name: str) -> object:
        """One fact; None if it was never set."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    def set_facts(self, facts: Mapping[str, str | int]) -> None:
        """Set or replace facts; those that this connection has set to the same are left alone."""
        new = [(name, value) for name, value in facts.items() if self._facts.get(name) != value]
        self._connection.executemany(
            "INSERT INTO facts (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            new,
        )
        self._facts.update(new)

    def _set_up(self, settings: str) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, VERSION}:
            raise OtherSchemaError(f"has schema {version}; expected {VERSION}")
        if version == 0:
            self._connection.executescript(CREATE)
        self._connection.executescript(settings)

    def _identity(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_dev, status.st_ino

    def _layout_row(self, identifier: str, layouts: Mapping[str, bytes]) -> int:
        if identifier not in self._rows:
            if identifier in layouts:
                # One that is there may be damaged.
                self._connection.execute(
                    "INSERT INTO layouts (identifier, packed) VALUES (?, ?) "
                    "ON CONFLICT (identifier) DO UPDATE SET packed = excluded.packed",
                    (identifier, layouts[identifier]),
                )
            query = "SELECT id FROM layouts WHERE identifier = ?"
            row = self._connection.execute(query, (identifier,)).fetchone()
            if row is None:
                raise sqlite3.IntegrityError(f"the layout {identifier} was never given")
            self._rows[identifier] = int(row[0])
        return self._rows[identifier]

    def _use(self, layouts: set[str]) -> None:
        """Those that polls had last are most often those of the next: they are not given again."""
        self._rows = {name: row for name, row in self._rows.items() if name in layouts}

    def _forget_layouts(self) -> None:
        """Drop the layouts that no poll has, here or in quarantine, and that nobody will ask for."""
        in_use = set(self._rows.values())
        for row in self.uses.past(self.oldest_id()):
            if row not in in_use and not self._is_given(row):
                self._connection.execute("DELETE FROM layouts WHERE id = ?", (row,))
                self.uses.forget(row)

    def _is_given(self, row: int) -> bool:
        query = "SELECT identifier FROM layouts WHERE id = ?"
        found = self._connection.execute(query, (row,)).fetchone()
        return found is not None and found[0] in self.given_layouts

    def _count(
        self,
        table: str,
        note: Callable[[list[tuple[int, int]]], None],
        progress: Callable[[], None],
    ) -> int:
        # Row by row, not by SQLite's own count: that swallows what is raised while it tells of progress.
        rows = self._layouts_of(table)
        count = 0
        while found := rows.fetchmany(_COUNTED):
            note(found)
            count += len(found)
            if len(found) == _COUNTED:  # else that was all, and at once
                progress()
        return count

    def _layouts_of(self, table: str) -> sqlite3.Cursor:
        """The row of the layout, and the id, of each poll in a table, oldest first."""
        # A damaged file may give any type; a text need not even be one.
        query = f"SELECT CAST(layout AS INTEGER), id FROM {table} ORDER BY id"  # noqa: S608 - a name of the schema
        return self._connection.execute(query)

    def _number(self, query: str, *parameters: int) -> int:
        row = self._connection.execute(query, parameters).fetchone()
        # A damaged file may give any type.
        return row[0] if row is not None and isinstance(row[0], int) else 0

    def _read(self, query: str, *parameters: int) -> list[Spooled]:
        rows = self._connection.execute(query, parameters).fetchall()
        return [_spooled(*row) for row in rows]


def _spooled(
    row: int, identifier: object, timestamp_ms: object, packed: object, crc: object
) -> Spooled:
    """A row as a poll. A damaged file may give any type in any column."""
    if isinstance(identifier, str) and isinstance(timestamp_ms, int) and isinstance(packed, bytes):
        poll = Poll(identifier, timestamp_ms, packed)
        return Spooled(row, poll, sound=_crc(poll) == crc)
    return Spooled(row, Poll(str(identifier), 0, b""), sound=False)


def _crc(poll: Poll) -> int:
    return crc32(poll.packed, crc32(poll.timestamp_ms.to_bytes(8, "big", signed=True)))

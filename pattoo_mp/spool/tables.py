"""The polls, quarantine and facts in a spool file: its SQL. Raises `sqlite3.Error` unchanged."""

from __future__ import annotations

import errno
import os
import sqlite3
from binascii import crc32
from bisect import bisect_right
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.model import Poll
from pattoo_mp.spool.layouts import Layouts, LayoutUse
from pattoo_mp.spool.limits import free_bytes
from pattoo_mp.spool.quarantine import Quarantine, for_each_batch
from pattoo_mp.spool.schema import BULK_LOAD, CONNECTION, CREATE, UPGRADE, VERSION
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Pages given back to the file system after each delivery. All at once would take long.
_VACUUM_PAGES: Final = 256
#: Free pages that stay: more than a second of polls needs on an ordinary host.
_SPARE_PAGES: Final = 8
#: The journal's index grows by so much for each so many bytes of the journal (sqlite.org/walformat.html).
_INDEX_PART: Final = 32 << 10
_JOURNAL_PER_PART: Final = 4062 * 4120
#: The newest poll of each spoke's group, of a hub, and how many were kept. Only a hub has this table.
_GROUPS: Final = """
CREATE TABLE IF NOT EXISTS spoke_groups (
    name TEXT PRIMARY KEY,
    newest_ms INTEGER NOT NULL,
    kept INTEGER NOT NULL
) WITHOUT ROWID
"""
#: More than one commit adds to the journal.
_COMMIT_BYTES: Final = 2 << 20
_SELECT: Final = (
    "SELECT polls.id, layouts.identifier, timestamp_ms, polls.packed, crc FROM polls "
    "LEFT JOIN layouts ON layouts.id = polls.layout "
)


class NewerSchemaError(Exception):
    """The file has a schema that this release does not know."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A poll in the spool. It is acknowledged by its `id`.

    `sound` is false if its bytes have changed since it was stored.
    """

    id: int
    poll: Poll
    sound: bool = True


class Tables:
    """An open spool file. Not thread-safe: its owner serialises access."""

    def __init__(
        self,
        path: Path,
        *,
        read_damaged: bool = False,
        bulk_load: bool = False,
        use: LayoutUse | None = None,
    ) -> None:
        """Open the file, or make it.

        `read_damaged` opens a damaged file read-only. `bulk_load` makes a new file that is useless
        until it is complete; it needs no room for a journal. `use` is known if this process filled
        the file; otherwise `count_polls` finds it out. A file of schema 1 is taken over. Raises
        `NewerSchemaError`, `OSError`, `sqlite3.Error`.
        """
        self._path = path
        self._journal = path.with_name(f"{path.name}-wal")
        self._index_bytes = 0
        self._facts: dict[str, str | int] = {}
        if read_damaged:
            self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            # Without this SQLite reads nothing of a truncated file.
            self._connection.execute("PRAGMA writable_schema = ON")
            self.layouts = Layouts(self._connection)
            self.quarantine = Quarantine(self._connection, self.layouts)
            return
        # SQLite gives its journal the mode of the file, so the mode must be right from the start.
        files.make_file(path)
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=1
        )
        self.layouts = Layouts(self._connection, use)
        self.quarantine = Quarantine(self._connection, self.layouts)
        try:
            self._set_up(BULK_LOAD if bulk_load else CONNECTION, has_journal=not bulk_load)
            self._file = self._identity()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def is_in_place(self) -> bool:
        """Whether the file still exists under its name: it may have been removed or emptied.

        SQLite may take long to notice, as it keeps pages in memory.
        """
        with suppress(OSError):
            found = self._path.stat()
            return (found.st_dev, found.st_ino) == self._file and found.st_size > 0
        return False

    def journal_bytes(self) -> int:
        """Return the size of the journal."""
        with suppress(FileNotFoundError):
            return self._journal.stat().st_size
        return 0

    def empty_journal(self) -> bool:
        """Move the journal into the file; return whether that is possible.

        It is not while another process reads an earlier state of the file.
        """
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            query = "PRAGMA wal_checkpoint(TRUNCATE)"
            return not self._connection.execute(query).fetchone()[0]
        finally:
            self._connection.execute("PRAGMA busy_timeout = 1000")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block as a transaction."""
        if self._index_bytes:
            self._reserve_index(self.journal_bytes())
        self._connection.execute("BEGIN IMMEDIATE")
        use = self.layouts.use.copy()
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self.layouts.roll_back(use)
            self._facts.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # --- polls

    def add(self, polls: Sequence[Poll], layouts: Mapping[str, bytes]) -> None:
        """Append polls. `layouts` holds the packed layouts that may be new here."""
        rows = [self.layouts.row(poll.layout_id, layouts) for poll in polls]
        self._connection.executemany(
            "INSERT INTO polls (layout, timestamp_ms, packed, crc) VALUES (?, ?, ?, ?)",
            [(row, p.timestamp_ms, p.packed, _crc(p)) for row, p in zip(rows, polls, strict=True)],
        )
        newest = self._number("SELECT id FROM polls ORDER BY id DESC LIMIT 1")
        ids = range(newest - len(rows) + 1, newest + 1)
        self.layouts.note(zip((poll.layout_id for poll in polls), ids, strict=True))
        self.layouts.remember(
            {poll.layout_id for poll in polls},
            {poll.group: poll.layout_id for poll in polls if poll.group},
        )

    def restore(self, rows: Sequence[Spooled], layouts: Mapping[str, bytes]) -> int:
        """Insert polls of another file with their ids there; return how many were inserted."""
        # A damaged file may hold an id twice.
        restored = self._connection.executemany(
            "INSERT OR IGNORE INTO polls (id, layout, timestamp_ms, packed, crc) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                (
                    row.id,
                    self.layouts.row(row.poll.layout_id, layouts),
                    row.poll.timestamp_ms,
                    row.poll.packed,
                    _crc(row.poll),
                )
                for row in rows
            ],
        ).rowcount
        self.layouts.note((row.poll.layout_id, row.id) for row in sorted(rows, key=_id))
        self.layouts.remember({row.poll.layout_id for row in rows})
        return restored

    def reserve_ids(self, last_id: int) -> None:
        """Never give an id up to `last_id` to a new poll. The file must not have polls yet."""
        self._connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('polls', ?)", (last_id,)
        )

    def oldest(self, limit: int, after: int = 0) -> list[Spooled]:
        """Return up to `limit` of the oldest polls with an id above `after`, oldest first."""
        return self._read(_SELECT + "WHERE polls.id > ? ORDER BY polls.id LIMIT ?", after, limit)

    def newest(self, limit: int, after: int = 0) -> list[Spooled]:
        """Return up to `limit` of the newest polls with an id above `after`, oldest first."""
        found = self._read(
            _SELECT + "WHERE polls.id > ? ORDER BY polls.id DESC LIMIT ?", after, limit
        )
        return found[::-1]

    def oldest_id(self, after: int = 0) -> int:
        """Return the id of the oldest poll with an id above `after`; 0 if there is none."""
        return self._number("SELECT id FROM polls WHERE id > ? ORDER BY id LIMIT 1", after)

    def oldest_ms(self, after: int = 0) -> int:
        """Return the time of the oldest poll with an id above `after`; 0 if there is none."""
        query = "SELECT timestamp_ms FROM polls WHERE id > ? ORDER BY id LIMIT 1"
        return self._number(query, after)

    def newest_id(self) -> int:
        """Return the largest id that was ever given; 0 if there was none."""
        last = self._number("SELECT id FROM polls ORDER BY id DESC LIMIT 1")
        return max(last, self._number("SELECT seq FROM sqlite_sequence WHERE name = 'polls'"))

    def count(self, after: int, last_id: int) -> int:
        """Return how many polls have an id above `after`, up to `last_id`."""
        return self._number("SELECT count(*) FROM polls WHERE id > ? AND id <= ?", after, last_id)

    def newest_ms(self, last_id: int) -> int:
        """Return the time of the newest poll up to an id; 0 if there is none."""
        return self._number(
            "SELECT timestamp_ms FROM polls WHERE id <= ? ORDER BY id DESC LIMIT 1", last_id
        )

    def remove(self, last_id: int) -> int:
        """Remove all polls up to an id; return how many were removed."""
        removed = self._connection.execute("DELETE FROM polls WHERE id <= ?", (last_id,)).rowcount
        self.layouts.remove_unused(self.oldest_id())
        return removed

    def shrink(self, max_bytes: int, polls: int, removing: Callable[[int], None]) -> int:
        """Remove the oldest of the file's `polls` until it uses at most `max_bytes`; one stays.

        `removing` is called with the last id before all up to it are removed. Return how many were
        removed.
        """
        left = polls
        while left > 1 and (excess := self.used_bytes() - max_bytes) > 0:
            share = excess * left // max(1, self.used_bytes())
            number = min(left - 1, max(1, share))
            last = self._number("SELECT id FROM polls ORDER BY id LIMIT 1 OFFSET ?", number - 1)
            removing(last)
            removed = self.remove(last)
            if not removed:
                break
            left -= removed
        return polls - left

    def remove_one(self, poll_id: int) -> None:
        """Remove a poll, which is in quarantine now."""
        self._connection.execute("DELETE FROM polls WHERE id = ?", (poll_id,))

    def count_polls(self, after: Sequence[int], progress: Callable[[], None]) -> list[int]:
        """Count the polls with ids above each of `after`, and note which layouts they use.

        This reads all polls; `progress` is called in between.
        """
        use = self.layouts.use = LayoutUse(self.layouts.rows())
        counts = [0] * len(after)

        def note(found: list[tuple[int, int]]) -> None:
            use.note(found)
            ids = [poll_id for _, poll_id in found]
            for place, last_id in enumerate(after):
                counts[place] += len(ids) - bisect_right(ids, last_id)

        # A damaged file may hold any type, and text that is not valid UTF-8.
        query = "SELECT CAST(layout AS INTEGER), id FROM polls ORDER BY id"
        for_each_batch(self._connection.execute(query), note, progress)
        self.layouts.note_parts()
        return counts

    def used_bytes(self) -> int:
        """Return the size of the file without its free pages."""
        size, pages, free = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        return int(size * (pages - free))

    def give_back_pages(self) -> None:
        """Shrink the file a little, unless the next polls will soon need the free pages.

        Shrinking costs a separate commit. Only `executescript` runs this PRAGMA for more than one
        page.
        """
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free <= _SPARE_PAGES:
            return
        with suppress(sqlite3.OperationalError):  # the polls are removed; the pages can wait
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")

    # --- the groups of spokes

    def groups(self) -> dict[str, tuple[int, int]]:
        """Return the time of the newest poll (ms), and how many were kept, of each spoke's group."""
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'spoke_groups'"
        if not self._number(query):
            return {}
        rows = self._connection.execute("SELECT name, newest_ms, kept FROM spoke_groups")
        # A damaged file may hold any type.
        return {
            name: (newest_ms, kept)
            for name, newest_ms, kept in rows
            if isinstance(name, str) and isinstance(newest_ms, int) and isinstance(kept, int)
        }

    def set_groups(self, groups: Mapping[str, tuple[int, int]]) -> None:
        """Set what `groups` returns, for some groups."""
        if groups:
            self._connection.execute(_GROUPS)
            self._connection.executemany(
                "INSERT INTO spoke_groups (name, newest_ms, kept) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET newest_ms = excluded.newest_ms, kept = excluded.kept",
                [(name, *values) for name, values in groups.items()],
            )

    # --- facts

    def facts(self) -> dict[str, Any]:
        """Return all facts by name."""
        return dict(self._connection.execute("SELECT name, value FROM facts").fetchall())

    def remove_facts(self, names: Iterable[str]) -> None:
        """Remove facts, if they exist."""
        self._connection.executemany(
            "DELETE FROM facts WHERE name = ?", [(name,) for name in names]
        )

    def fact(self, name: str) -> object:
        """Return a fact; None if it was never set."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    def set_facts(self, facts: Mapping[str, str | int]) -> None:
        """Set facts, except those that this connection has already set to the same value."""
        new = [(name, value) for name, value in facts.items() if self._facts.get(name) != value]
        self._connection.executemany(
            "INSERT INTO facts (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            new,
        )
        self._facts.update(new)

    def _set_up(self, settings: str, *, has_journal: bool) -> None:
        if has_journal:
            self._require_room()  # an existing journal is read now
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerSchemaError(f"has schema {version}; expected {VERSION} at most")
        if version == 0:
            self._connection.executescript(CREATE)
        if version == 1:
            self._connection.executescript(UPGRADE)
        if has_journal:
            self._require_room()
        self._connection.executescript(settings)
        if has_journal:
            # The first read makes the index.
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._reserve_index(self.journal_bytes())

    def _require_room(self) -> None:
        """Raise `OSError` if the disk has no room for the journal's index: see `_reserve_index`."""
        if free_bytes(self._path.parent) < 2 * _INDEX_PART:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def _reserve_index(self, journal_bytes: int) -> None:
        """Have the disk allocate the journal's index (-shm) as far as the next commit needs it.

        SQLite maps that file into memory, and writes one byte of each 4 KB of it before. With
        smaller blocks the rest is holes. If the disk is full when SQLite writes to one, the kernel
        ends the process (SIGBUS). Raises `OSError` if there is no room.
        """
        parts = 1 + (journal_bytes + _COMMIT_BYTES) // _JOURNAL_PER_PART
        if parts * _INDEX_PART <= self._index_bytes:
            return
        path = self._path.with_name(f"{self._path.name}-shm")
        descriptor = files.open_file(path, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, parts * _INDEX_PART)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
        finally:
            os.close(descriptor)
        self._index_bytes = parts * _INDEX_PART

    def _identity(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_dev, status.st_ino

    def _number(self, query: str, *parameters: int) -> int:
        row = self._connection.execute(query, parameters).fetchone()
        # A damaged file may hold any type.
        return row[0] if row is not None and isinstance(row[0], int) else 0

    def _read(self, query: str, *parameters: int) -> list[Spooled]:
        rows = self._connection.execute(query, parameters).fetchall()
        return [_spooled(*row) for row in rows]


def _id(spooled: Spooled) -> int:
    return spooled.id


def _spooled(
    row: int, identifier: object, timestamp_ms: object, packed: object, crc: object
) -> Spooled:
    """Return a row as a poll. A damaged file may hold any type in any column."""
    if isinstance(identifier, str) and isinstance(timestamp_ms, int) and isinstance(packed, bytes):
        poll = Poll(identifier, timestamp_ms, packed)
        return Spooled(row, poll, sound=_crc(poll) == crc)
    return Spooled(row, Poll(str(identifier), 0, b""), sound=False)


def _crc(poll: Poll) -> int:
    return crc32(poll.packed, crc32(poll.timestamp_ms.to_bytes(8, "big", signed=True)))

"""The spool: polls on disk, from the moment they leave the channel until the server has them."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import SpoolError
from pattoo_mp.model import Layout, Poll
from pattoo_mp.spool import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Pages given back to the file system after each delivery; all at once would take long.
_VACUUM_PAGES: Final = 256
#: An uploader whose control was killed may still be keeping what it holds.
_PREDECESSOR_S: Final = 5.0
_LOOK_S: Final = 0.05
_LAYOUTS_IN_MEMORY: Final = 8
#: Errors that another attempt may not meet: a full or read-only disk, an I/O error.
StorageError = sqlite3.Error


@dataclass(frozen=True, slots=True)
class Spooled:
    """A poll in the spool, by the id under which it is acknowledged."""

    id: int
    poll: Poll


class Spool:
    """Polls in the order in which they came. Its methods may be called from any thread.

    Raises `SpoolError` if the file cannot be opened or another process uses it. Every method
    may raise `StorageError`; then nothing of what was asked has happened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._layouts: dict[str, Layout] = {}
        self._rows: dict[str, int] = {}
        self._held = _hold(path.with_name(f"{path.name}.lock"))
        try:
            self._connection = self._open()
            self._waiting = self._count("polls")
            self._quarantined = self._count("quarantine")
        except OSError as error:
            raise SpoolError(f"{path}: {error.strerror}; expected a spool of this agent") from error
        except sqlite3.Error as error:
            raise SpoolError(f"{path}: {error}; expected a spool of this agent") from error

    @property
    def waiting(self) -> int:
        """How many polls wait for the server."""
        return self._waiting

    @property
    def quarantined(self) -> int:
        """How many polls were set aside."""
        return self._quarantined

    def append(
        self, polls: Sequence[tuple[int, Poll]], layouts: Mapping[str, bytes], channel: str
    ) -> int:
        """Keep polls, each with its sequence number in the channel of the name `channel`.

        Polls of that channel that are kept already are passed over: a worker that died between
        its commit and its acknowledgement is given them again. Returns how many were new.
        """
        with self._lock:
            with self._transaction() as cursor:
                last = self._fact("channel"), self._fact("sequence")
                done = int(last[1] or 0) if last[0] == channel else 0
                new = [(sequence, poll) for sequence, poll in polls if sequence > done]
                cursor.executemany(
                    "INSERT INTO polls (layout, timestamp_ms, packed) VALUES (?, ?, ?)",
                    [
                        (self._layout_row(cursor, p.layout_id, layouts), p.timestamp_ms, p.packed)
                        for _, p in new
                    ],
                )
                if new:
                    self._set_facts(cursor, channel=channel, sequence=new[-1][0])
                    self._forget_names({poll.layout_id for _, poll in new})
            self._waiting += len(new)
        return len(new)

    def oldest(self, limit: int) -> list[Spooled]:
        """The oldest polls, at most `limit`, oldest first. They stay until acknowledged."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT polls.id, layouts.identifier, timestamp_ms, polls.packed FROM polls "
                "JOIN layouts ON layouts.id = polls.layout ORDER BY polls.id LIMIT ?",
                (limit,),
            ).fetchall()
        return [Spooled(row[0], Poll(*row[1:])) for row in rows]

    def layout(self, identifier: str) -> Layout:
        """A layout of a poll that is kept here. Raises `WireError` if it cannot be read."""
        with self._lock:
            if identifier not in self._layouts:
                (packed,) = self._connection.execute(
                    "SELECT packed FROM layouts WHERE identifier = ?", (identifier,)
                ).fetchone()
                self._layouts[identifier] = Layout.unpack(packed)
            return self._layouts[identifier]

    def acknowledge(self, last_id: int) -> int:
        """Remove what the server has: all polls up to `last_id`. Returns how many."""
        with self._lock:
            with self._transaction() as cursor:
                removed = cursor.execute("DELETE FROM polls WHERE id <= ?", (last_id,)).rowcount
                if removed >= self._waiting:
                    self._forget_layouts(cursor)
            self._waiting -= removed
            self._give_back_pages()
        return removed

    def set_aside(self, poll_id: int, reason: str) -> None:
        """Move one poll into quarantine; the others go on."""
        with self._lock:
            with self._transaction() as cursor:
                cursor.execute(
                    "INSERT INTO quarantine (layout, timestamp_ms, packed, reason) "
                    "SELECT layout, timestamp_ms, packed, ? FROM polls WHERE id = ?",
                    (reason, poll_id),
                )
                cursor.execute("DELETE FROM polls WHERE id = ?", (poll_id,))
            self._waiting -= 1
            self._quarantined += 1

    def next_envelope_ms(self, now_ms: int) -> int:
        """A timestamp for a post: now, or later if one of now was given out before.

        It is kept before it is returned, so it grows across restarts and clock steps: the
        server names its files by it, and two of one name are one.
        """
        with self._transaction() as cursor:
            envelope_ms: int = max(now_ms, int(self._fact("envelope_ms") or 0) + 1)
            self._set_facts(cursor, envelope_ms=envelope_ms)
        return envelope_ms

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._lock:
            self._connection.close()
            os.close(self._held)

    def _open(self) -> sqlite3.Connection:
        # SQLite gives its journal the mode of the file, so the mode must be right from the start.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=1
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(schema.CREATE)
        elif version != schema.VERSION:
            raise SpoolError(
                f"{self._path}: has schema {version}; expected {schema.VERSION}, "
                f"or a file that is not there"
            )
        connection.executescript(schema.CONNECTION)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                self._rows.clear()
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def _layout_row(
        self, cursor: sqlite3.Cursor, identifier: str, layouts: Mapping[str, bytes]
    ) -> int:
        if identifier not in self._rows:
            if identifier in layouts:
                cursor.execute(
                    "INSERT OR IGNORE INTO layouts (identifier, packed) VALUES (?, ?)",
                    (identifier, layouts[identifier]),
                )
            query = "SELECT id FROM layouts WHERE identifier = ?"
            (self._rows[identifier],) = cursor.execute(query, (identifier,)).fetchone()
        return self._rows[identifier]

    def _give_back_pages(self) -> None:
        """Shrink the file a little. Only `executescript` runs this PRAGMA for more than a page."""
        with suppress(StorageError):  # the polls are removed; the pages go with the next ones
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")

    def _forget_layouts(self, cursor: sqlite3.Cursor) -> None:
        """With no poll left, drop all layouts but those of the quarantine and those in use."""
        in_use = list(self._rows.values())
        marks = ",".join("?" * len(in_use))
        cursor.execute(
            f"DELETE FROM layouts WHERE id NOT IN ({marks}) "  # noqa: S608 - marks only
            "AND id NOT IN (SELECT layout FROM quarantine)",
            in_use,
        )

    def _forget_names(self, in_use: set[str]) -> None:
        """Keep in memory only what the polls of today need."""
        self._rows = {name: row for name, row in self._rows.items() if name in in_use}
        if len(self._layouts) > _LAYOUTS_IN_MEMORY:
            self._layouts.clear()

    def _fact(self, name: str) -> Any:  # noqa: ANN401 - a text or a number, as it was set
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    @staticmethod
    def _set_facts(cursor: sqlite3.Cursor, **facts: str | int) -> None:
        cursor.executemany(
            "INSERT INTO facts (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            facts.items(),
        )

    def _count(self, table: str) -> int:
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - two names, both written here
        (count,) = self._connection.execute(query).fetchone()
        return int(count)


def _hold(path: Path) -> int:
    """Take the lock that says whose spool this is, for as long as this process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}; expected a file of this agent") from error
    until = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                os.close(descriptor)
                raise SpoolError(
                    f"{path}: another agent uses this spool; expected one of our own"
                ) from error
            time.sleep(_LOOK_S)
        else:
            return descriptor

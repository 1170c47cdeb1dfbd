"""The receiver's database: every accepted post in one transaction, whole or not at all."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import PattooError
from pattoo_mp.receiver import schema
from pattoo_mp.receiver.intake import Intake
from pattoo_mp.receiver.records import StoredPoint, StoredPost, Totals

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from pattoo_mp.receiver.post import Post

_BUSY_S: Final = 10.0


class StoreError(PattooError):
    """The receiver's database cannot be opened."""


class Store:
    """The database at `path`. Its methods may be called from any thread.

    Raises `StoreError` if it cannot be opened, or is not there and `create` is false. All methods
    may raise `sqlite3.Error` (a full disk, for one); then nothing of what was asked is stored.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._lock = Lock()
        try:
            if create:
                _make_private(path)
            self._connection = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: {error}; expected a database of this receiver") from error

    def add(self, post: Post, *, received_ms: int, size_bytes: int) -> StoredPost:
        """Store a post that came at `received_ms` in a body of `size_bytes`; say what was kept."""
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM posts").fetchone()
            intake = Intake(connection)
            stale = intake.stale(post)
            intake.add(post)
            stored = StoredPost(
                id=last + 1,
                received_ms=received_ms,
                agent_id=post.agent_id,
                envelope_ms=post.timestamp_ms,
                polling_interval_ms=post.polling_interval_ms,
                polls=post.polls,
                datapoints=len(post.datapoints),
                stored=intake.stored,
                duplicates=intake.duplicates,
                late=intake.late,
                bytes=size_bytes,
                stale_envelope=stale,
            )
            connection.execute(schema.INSERT_POST, asdict(stored))
        return stored

    def posts(self) -> tuple[StoredPost, ...]:
        """All posts in the order in which they came."""
        rows = self._rows("SELECT * FROM posts ORDER BY id")
        return tuple(StoredPost(*(*row[:-1], bool(row[-1]))) for row in rows)

    def timestamps(self, agent_id: str) -> tuple[int, ...]:
        """All different times of an agent's stored datapoints, in ms, oldest first."""
        rows = self._rows(
            "SELECT DISTINCT timestamp_ms FROM datapoints JOIN series ON series.id = series_id"
            " WHERE agent_id = ? ORDER BY timestamp_ms",
            agent_id,
        )
        return tuple(timestamp_ms for (timestamp_ms,) in rows)

    def latest(self, limit: int) -> tuple[StoredPoint, ...]:
        """The newest datapoints, at most `limit`, newest first."""
        rows = self._rows(
            "SELECT timestamp_ms, agent_id, target, key, metadata, value"
            " FROM datapoints JOIN series ON series.id = series_id"
            " ORDER BY timestamp_ms DESC, key, series_id LIMIT ?",
            limit,
        )
        return tuple(
            StoredPoint(at, agent_id, target, key, tuple(json.loads(metadata).items()), value)
            for at, agent_id, target, key, metadata, value in rows
        )

    def totals(self) -> Totals:
        """Sums over all that the database has."""
        (row,) = self._rows(
            "SELECT count(*), total(polls), total(datapoints), total(stored), total(duplicates),"
            " total(late), total(stale_envelope), (SELECT count(*) FROM series) FROM posts"
        )
        return Totals(*map(int, row))

    def close(self) -> None:
        """Let go of the file, after whatever is under way."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, query: str, *parameters: str | int) -> list[sqlite3.Row]:
        with self._lock, closing(self._connection.execute(query, parameters)) as cursor:
            return cursor.fetchall()


def _make_private(path: Path) -> None:
    """Create the file for its owner alone; SQLite gives its journals the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _open(path: Path) -> sqlite3.Connection:
    # "rw" makes no file: where it is missing, that is an error.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    # Every use is inside the store's lock.
    connection = sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and owner != schema.APPLICATION_ID:
        raise sqlite3.DatabaseError("it is a database of something else")
    connection.executescript(schema.CONNECTION)
    if not tables:
        connection.executescript(schema.CREATE)

"""The receiver's database. It stores an accepted post as a whole or not at all.

Datapoints follow the pattoo server's rule of order: one is stored only if its time is after the
newest that its series had in the database before the post, so the order within a post does not
matter. The pattoo server drops the others silently; here they are counted, as duplicates (the
series has a point of this time, which stays) or as late. Strings leave nothing, not even a series:
agents send them as a test.

Also here: the newest datapoints as a plain-text table (`table`). All times are in ms.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import PattooError
from pattoo_mp.receiver.decode import STRING
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from pattoo_mp.receiver.decode import Datapoint, Post

_BUSY_S: Final = 10.0

#: SQLite's application id in the file's header: "pmpr".
APPLICATION_ID: Final = 0x706D7072

CREATE: Final = f"""
BEGIN;
CREATE TABLE posts (
    id INTEGER PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    agent_id TEXT NOT NULL,
    envelope_ms INTEGER NOT NULL,
    polling_interval_ms INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    -- What the post held; stored, duplicates and late are parts of it. The rest are strings.
    datapoints INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    late INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    stale_envelope INTEGER NOT NULL
);
CREATE INDEX posts_of_agent ON posts (agent_id, envelope_ms);
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    target TEXT NOT NULL,
    checksum TEXT NOT NULL,
    key TEXT NOT NULL,
    data_type INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (agent_id, target, checksum)
);
CREATE TABLE datapoints (
    series_id INTEGER NOT NULL REFERENCES series (id),
    timestamp_ms INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (series_id, timestamp_ms)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
COMMIT;
"""

#: A post that was answered survives the end of this process, but not always a power failure.
CONNECTION: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
"""

#: The parameters have the names of the fields of `StoredPost`.
INSERT_POST: Final = """
INSERT INTO posts VALUES (
    :id, :received_ms, :agent_id, :envelope_ms, :polling_interval_ms, :polls, :datapoints,
    :stored, :duplicates, :late, :bytes, :stale_envelope
)
"""

_GAP: Final = "  "
#: No column becomes narrower than this, whatever the terminal.
_LEAST_WIDTH: Final = 8
HEADINGS: Final = ("TIME (UTC)", "TARGET", "KEY", "OF", "VALUE")

#: Metadata that describes the host; the target column names it already.
_HOST_METADATA: Final = frozenset({"release", "version", "processor", "type", "cpus", "hostname"})


@dataclass(frozen=True, slots=True)
class StoredPost:
    """A post, and the counts of what happened to its `datapoints`.

    Those that are neither `stored` nor `duplicates` nor `late` are strings, which are not stored. `stale_envelope`: the envelope's timestamp was not greater than
    all earlier ones of the agent.
    """

    id: int
    received_ms: int
    agent_id: str
    envelope_ms: int
    polling_interval_ms: int
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    bytes: int
    stale_envelope: bool


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A datapoint, with the names of its series."""

    timestamp_ms: int
    agent_id: str
    target: str
    key: str
    metadata: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the whole database; `datapoints` counts all received ones, stored or not."""

    posts: int
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    stale_envelopes: int
    series: int


class StoreError(PattooError):
    """The receiver's database cannot be opened."""


class Store:
    """The database at `path`. Its methods may be called from any thread.

    Raises `StoreError` if it cannot be opened, or does not exist and `create` is false. All methods
    may raise `sqlite3.Error`, for example for a full disk; then nothing is stored by that call.
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
        """Store a post received at `received_ms`, with a body of `size_bytes`."""
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM posts").fetchone()
            writer = PostWriter(connection)
            stale = writer.is_stale(post)
            writer.add(post)
            stored = StoredPost(
                id=last + 1,
                received_ms=received_ms,
                agent_id=post.agent_id,
                envelope_ms=post.timestamp_ms,
                polling_interval_ms=post.polling_interval_ms,
                polls=post.polls,
                datapoints=len(post.datapoints),
                stored=writer.stored,
                duplicates=writer.duplicates,
                late=writer.late,
                bytes=size_bytes,
                stale_envelope=stale,
            )
            connection.execute(INSERT_POST, asdict(stored))
        return stored

    def posts(self) -> tuple[StoredPost, ...]:
        """All posts, in the order in which they were received."""
        rows = self._rows("SELECT * FROM posts ORDER BY id")
        return tuple(StoredPost(*(*row[:-1], bool(row[-1]))) for row in rows)

    def timestamps(self, agent_id: str) -> tuple[int, ...]:
        """The distinct times of an agent's stored datapoints, in ms, oldest first."""
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
        """The sums over the whole database."""
        (row,) = self._rows(
            "SELECT count(*), total(polls), total(datapoints), total(stored), total(duplicates),"
            " total(late), total(stale_envelope), (SELECT count(*) FROM series) FROM posts"
        )
        return Totals(*map(int, row))

    def close(self) -> None:
        """Close the file, after the operation under way."""
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
    # "rw" creates no file: a missing one is an error.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    # The lock of `Store` guards every use, from any thread.
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
    if tables and owner != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is a database of another program")
    connection.executescript(CONNECTION)
    if not tables:
        connection.executescript(CREATE)


# Storing one post.


@dataclass
class PostWriter:
    """Stores one post and counts its datapoints, in the caller's transaction on `connection`."""

    connection: sqlite3.Connection
    stored: int = 0
    duplicates: int = 0
    late: int = 0
    _series: dict[tuple[str, str], int] = field(default_factory=dict)
    _newest: dict[int, int] = field(default_factory=dict)

    def add(self, post: Post) -> None:
        """Store and count the datapoints of `post`."""
        for point in post.datapoints:
            if point.data_type != STRING:
                self._add(self._series_of(point), point)

    def is_stale(self, post: Post) -> bool:
        """Whether the envelope of `post` is not newer than all earlier ones of the agent.

        The pattoo server may overwrite such a post.
        """
        (greatest,) = self.connection.execute(
            "SELECT max(envelope_ms) FROM posts WHERE agent_id = ?", (post.agent_id,)
        ).fetchone()
        return greatest is not None and post.timestamp_ms <= greatest

    def _add(self, series: int, point: Datapoint) -> None:
        if point.timestamp_ms > self._newest_of(series):
            inserted = self.connection.execute(
                "INSERT OR IGNORE INTO datapoints VALUES (?, ?, ?)",
                # Converted to a float, as in the pattoo server.
                (series, point.timestamp_ms, float(point.value)),
            )
            self.stored += inserted.rowcount
            self.duplicates += 1 - inserted.rowcount
        elif self._has_point(series, point.timestamp_ms):
            self.duplicates += 1
        else:
            self.late += 1

    def _series_of(self, point: Datapoint) -> int:
        # All datapoints of a post are from one agent.
        name = (point.target, point.checksum)
        if name not in self._series:
            self._series[name] = self._find_or_create(point)
        return self._series[name]

    def _find_or_create(self, point: Datapoint) -> int:
        found = self.connection.execute(
            "SELECT id FROM series WHERE agent_id = ? AND target = ? AND checksum = ?",
            (point.agent_id, point.target, point.checksum),
        ).fetchone()
        if found:
            return int(found[0])
        created = self.connection.execute(
            "INSERT INTO series (agent_id, target, checksum, key, data_type, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                point.agent_id,
                point.target,
                point.checksum,
                point.key,
                point.data_type,
                json.dumps(dict(point.metadata)),
            ),
        )
        return int(created.lastrowid or 0)

    def _newest_of(self, series: int) -> int:
        """The newest time of `series` before this post, or -1."""
        if series not in self._newest:
            (newest,) = self.connection.execute(
                "SELECT max(timestamp_ms) FROM datapoints WHERE series_id = ?", (series,)
            ).fetchone()
            self._newest[series] = -1 if newest is None else newest
        return self._newest[series]

    def _has_point(self, series: int, timestamp_ms: int) -> bool:
        found = self.connection.execute(
            "SELECT 1 FROM datapoints WHERE series_id = ? AND timestamp_ms = ?",
            (series, timestamp_ms),
        ).fetchone()
        return found is not None


# Datapoints as a plain-text table.


def table(points: Iterable[StoredPoint], width: int | None = None) -> str:
    """`points` as text in aligned columns below headings, a line each of at most `width` characters.

    What does not fit is cut from the longest columns first, and its end marked.
    """
    rows = [HEADINGS, *(_cells(point) for point in points)]
    *widths, value_width = (max(map(len, column)) for column in zip(*rows, strict=True))
    if width is not None:
        _narrow(widths, width - value_width - len(_GAP) * len(widths))
    lines = []
    for *cells, value in rows:
        texts = [_cut(cell, size).ljust(size) for cell, size in zip(cells, widths, strict=True)]
        lines.append(_GAP.join([*texts, value.rjust(value_width)]))
    return "\n".join(lines)


def _narrow(widths: list[int], room: int) -> None:
    """Make the widest columns but the first, the time, narrower until all fit into `room`."""
    texts = range(1, len(widths))
    while sum(widths) > room and max(widths[1:]) > _LEAST_WIDTH:
        widths[max(texts, key=widths.__getitem__)] -= 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def label(point: StoredPoint) -> str:
    """The metadata of a datapoint within its host: `disk_partition=sda`, or an empty string."""
    own = [f"{key}={value}" for key, value in point.metadata if key not in _HOST_METADATA]
    return " ".join(own)


def _cells(point: StoredPoint) -> tuple[str, ...]:
    texts = (point.target, point.key, label(point))
    return (_time(point.timestamp_ms), *map(printable, texts), f"{point.value:.15g}")


def _time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"  # the calendar ends in the year 9999
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")

"""The receiver's file: its tables, how it is opened, and what becomes of one that is damaged.

    agents    one row for each agent, with what it sent in all
    series    the names of the series; ids are never used again
    layouts   which series the values of a row or a block belong to, in order; many rows share one
    polls     the newest polls, a row each: one double for each series
    buckets   the newest minutes and hours, likewise: six numbers for each series (`SUMMARY`)
    blocks    all that is older, many rows in one, by columns
    gaps      where polls of an agent are missing
    late      polls that arrived long after their time
    texts     values of text series, where they changed

All times are Unix time in ms. Whatever leaves `polls` goes into a block and into the minutes, in one
transaction; likewise from minutes to hours. So each value is counted once, wherever it is at the moment.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.errors import PattooError
from pattoo_mp.receiver.decode import COUNTER32, COUNTER64, STRING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: SQLite's application id in the file's header: "pmpr".
APPLICATION_ID: Final = 0x706D7072
#: SQLite's user version. Databases before had 0.
VERSION: Final = 2
_APPLICATION_ID_AT: Final = slice(68, 72)
_VERSION_AT: Final = slice(60, 64)
_HEADER_BYTES: Final = 100
_BUSY_S: Final = 10.0

COUNTERS: Final = frozenset({COUNTER32, COUNTER64})

RAW, MINUTE, HOUR = TIERS = (0, 1, 2)
#: The width of a row of each tier (ms); raw rows have none.
STEP_MS: Final = (1, 60_000, 3_600_000)
TIER_NAMES: Final = ("raw", "minute", "hour")
#: What a row of minutes or hours has for each series: how many values, over how long (ms) a counter's
#: increase was measured, the sum, the least, the greatest, and the increase.
SUMMARY: Final = ("count", "span_ms", "sum", "min", "max", "increase")

CREATE: Final = f"""
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN;
CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    program TEXT NOT NULL,
    interval_ms INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL,
    lag_ms INTEGER NOT NULL,
    envelope_ms INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    -- What the posts held; stored, duplicates, refused and the rest, texts, are parts of it.
    datapoints INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    -- Part of the stored ones.
    late INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    refused_series INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    stale_envelopes INTEGER NOT NULL
);
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent INTEGER NOT NULL REFERENCES agents (id),
    target TEXT NOT NULL,
    checksum TEXT NOT NULL,
    key TEXT NOT NULL,
    data_type INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    -- The newest value that is in a block.
    last_ms INTEGER,
    last REAL,
    UNIQUE (agent, target, checksum)
);
CREATE TABLE layouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    series BLOB NOT NULL UNIQUE
);
CREATE TABLE polls (
    -- Grows for ever: it is what a page follows.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    lag_ms INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    numbers BLOB NOT NULL
);
CREATE INDEX polls_of_agent ON polls (agent, time_ms);
CREATE TABLE buckets (
    agent INTEGER NOT NULL,
    tier INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (agent, tier, time_ms, layout)
);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    agent INTEGER NOT NULL,
    tier INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    times BLOB NOT NULL,
    lags BLOB NOT NULL,
    columns BLOB NOT NULL
);
CREATE INDEX blocks_of_agent ON blocks (agent, tier, last_ms, first_ms, layout);
CREATE INDEX blocks_by_age ON blocks (tier, last_ms, size, rows);
CREATE TABLE gaps (
    agent INTEGER NOT NULL,
    after_ms INTEGER NOT NULL,
    before_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, after_ms)
) WITHOUT ROWID;
CREATE TABLE late (
    agent INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    lag_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, from_ms)
) WITHOUT ROWID;
CREATE TABLE texts (
    series INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (series, time_ms)
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""

#: What was answered survives the end of this process, but not always a power failure. The journal goes
#: back to its usual size (bytes) after a long reader.
_WRITER: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA journal_size_limit = 16000000;
"""


class StoreError(PattooError):
    """The receiver's database cannot be opened."""


class Opened(NamedTuple):
    """A database open for writing, and where a damaged one before it was put, if there was one."""

    connection: sqlite3.Connection
    put_aside: Path | None


def open_store(path: Path) -> Opened:
    """Open or create the database at `path`. A damaged one of ours is put aside first.

    Raises `StoreError` for a file of another program, or one that cannot be opened.
    """
    try:
        # For its owner alone; SQLite gives its journals the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            return Opened(_open(path), None)
        except sqlite3.DatabaseError as error:
            if not (is_damage(error) and _is_ours(path)):
                raise
            aside = put_aside(path)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return Opened(_open(path), aside)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: {error}; expected a database of this receiver") from error


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Be the only process that writes to the database at `path`. Raises `StoreError` if another one is."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{lock}: {error.strerror}; expected a directory to write to") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{path}: another receiver has it; expected it to be stopped, or another --database"
            ) from None
        yield
    finally:
        os.close(descriptor)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing database, only to read. Raises `StoreError`."""
    try:
        connection = _connect(path)
        try:
            _require_ours(connection)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; expected a database of this receiver") from error
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error means that the file's content is wrong, and will stay so."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def put_aside(path: Path) -> Path:
    """Give a file, and its journal, another name. Return it. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    path.rename(aside)
    for end in ("-wal", "-shm"):
        journal = path.with_name(path.name + end)
        if journal.exists():
            journal.rename(aside.with_name(aside.name + end))
    return aside


def version_of(path: Path) -> int | None:
    """The version in the header of a database of ours; None for any other file, or none. Raises `OSError`."""
    header = _header(path)
    if header[_APPLICATION_ID_AT] != APPLICATION_ID.to_bytes(4, "big"):
        return None
    return int.from_bytes(header[_VERSION_AT], "big")


def _is_ours(path: Path) -> bool:
    return version_of(path) is not None


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return b""


def _connect(path: Path) -> sqlite3.Connection:
    # "rw" creates no file: a missing one is an error.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            _require_ours(connection)
        else:
            connection.executescript(CREATE)
            # So that no poll has a number of another store, which a page may still follow.
            first = time.time_ns() // 1_000_000
            connection.execute("INSERT INTO sqlite_sequence VALUES ('polls', ?)", (first,))
            connection.execute("INSERT INTO facts VALUES ('first_poll', ?)", (first,))
        connection.executescript(_WRITER)
        # What every post needs is read once, so that damage there is found now.
        connection.execute("SELECT total(posts) FROM agents").fetchone()
        connection.execute("SELECT total(length(metadata)) FROM series").fetchone()
        connection.execute("SELECT total(length(series)) FROM layouts").fetchone()
        connection.execute("SELECT total(size) FROM blocks").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(connection: sqlite3.Connection) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is a database of another program")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise sqlite3.DatabaseError(
            f"it has version {version}, and this release reads version {VERSION}"
            + (", and takes over the other when it serves" if version < VERSION else "")
        )


class Layouts:
    """Which series the values of a row or a block belong to. For one connection."""

    #: Many times what a large office uses at a time.
    _KEPT: Final = 5_000

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series: dict[int, array[int]] = {}
        self._ids: dict[bytes, int] = {}

    def series(self, layout: int) -> array[int]:
        """The ids of the series, in order."""
        if layout not in self._series:
            (packed,) = self._connection.execute(
                "SELECT series FROM layouts WHERE id = ?", (layout,)
            ).fetchone()
            self._keep(layout, bytes(packed))
        return self._series[layout]

    def find_or_create(self, series: Sequence[int]) -> int:
        """The id of the layout of these series."""
        packed = array("I", series).tobytes()
        if packed not in self._ids:
            found = (
                self._connection.execute(
                    "SELECT id FROM layouts WHERE series = ?", (packed,)
                ).fetchone()
                or self._connection.execute(
                    "INSERT INTO layouts (series) VALUES (?) RETURNING id", (packed,)
                ).fetchone()
            )
            self._keep(int(found[0]), packed)
        return self._ids[packed]

    def forget(self) -> None:
        """Forget what was read, or created in a transaction that failed."""
        self._series.clear()
        self._ids.clear()

    def _keep(self, layout: int, packed: bytes) -> None:
        if len(self._series) >= self._KEPT:
            self.forget()
        self._series[layout] = array("I", packed)
        self._ids[packed] = layout


#: Metadata that describes the host, whose name is shown already.
_HOST_METADATA: Final = frozenset({"release", "version", "processor", "type", "cpus", "hostname"})


@dataclass(frozen=True, slots=True)
class Series:
    """A series, and where it belongs. `metadata` is as posted."""

    id: int
    agent: int
    host: str
    key: str
    data_type: int
    interval_ms: int
    metadata: dict[str, str]
    last_ms: int | None
    last: float | None

    @property
    def kind(self) -> str:
        """What its values are."""
        if self.data_type == STRING:
            return "text"
        return "counter" if self.data_type in COUNTERS else "gauge"

    @property
    def label(self) -> str:
        """The metadata that tells it from others of its host: `disk_partition=sda`, or an empty string."""
        return label(self.metadata)


def label(metadata: dict[str, str]) -> str:
    """Metadata without what describes the host, as one text."""
    return " ".join(
        f"{key}={value}" for key, value in metadata.items() if key not in _HOST_METADATA
    )

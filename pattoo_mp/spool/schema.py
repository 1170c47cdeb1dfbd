"""The spool's tables. They keep layouts and polls, not posts: a later release can send them."""

from __future__ import annotations

from typing import Final

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

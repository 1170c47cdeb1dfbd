"""The schema of a spool file, and the settings of a connection to it.

The file keeps layouts and polls, not posts, so that a later release, or another output, can send
them. A poll is in it once, however many outputs wait for it: each output has only a mark, the last
poll that it is done with (`account.OutputState.done_id`).
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 2

#: `auto_vacuum` must come before the first table. With it the file shrinks again after an outage.
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
-- Polls that an output's server refuses, kept for an operator to look at.
-- Less strict than the other tables, since damaged polls come here, too.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    layout,
    timestamp_ms,
    packed,
    reason TEXT NOT NULL,
    output TEXT NOT NULL DEFAULT ''
);
-- Counters and marks, changed in one transaction with what they count.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""

#: Takes over a file of schema 1, which knew one output without a name. Quarantined polls without an
#: output are that one's (`Tables.name_output`). In one transaction, so a kill leaves either schema.
UPGRADE: Final = f"""
BEGIN IMMEDIATE;
ALTER TABLE quarantine ADD COLUMN output TEXT NOT NULL DEFAULT '';
PRAGMA user_version = {VERSION};
COMMIT;
"""

#: For a spool in use. A commit is durable when it returns; there is one for each batch. Only this
#: process uses the file, so SQLite moves the journal into it whenever the journal reaches 4 MB. The
#: journal is never larger than that and one commit.
#: With foreign keys on, SQLite would read all polls for each removed layout, for lack of an index.
CONNECTION: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = OFF;
PRAGMA journal_size_limit = 4194304;
PRAGMA cache_size = -512;
PRAGMA cell_size_check = ON;
"""

#: For a new file that is useless until it is complete. It is synced as it grows, and each page is
#: written only once.
BULK_LOAD: Final = """
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = OFF;
PRAGMA cache_size = -512;
"""

"""The receiver's tables."""

from __future__ import annotations

from typing import Final

#: Says in the file's header whose database it is: "pmpr".
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

#: The names are those of `StoredPost`.
INSERT_POST: Final = """
INSERT INTO posts VALUES (
    :id, :received_ms, :agent_id, :envelope_ms, :polling_interval_ms, :polls, :datapoints,
    :stored, :duplicates, :late, :bytes, :stale_envelope
)
"""

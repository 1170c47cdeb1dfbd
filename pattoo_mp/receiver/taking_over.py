"""A database of an earlier release, whose values were rows of one table: it is taken over.

Its values go into a new file beside it, which then takes its name; the old file stays as `….before-<ms>`. A kill
in between leaves the old file as it was.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver import database
from pattoo_mp.receiver.database import StoreError
from pattoo_mp.receiver.decode import Datapoint, Post
from pattoo_mp.receiver.store import Store
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pattoo_mp.receiver.upkeep import Limits

_log: Final = logging.getLogger(__name__)

#: The user version of the earlier releases' databases.
_BEFORE: Final = 0
#: Polls that are stored at a time, and after how many such posts it is tidied.
_AT_ONCE: Final = 50
_TIDY: Final = 20

#: What the earlier releases had, of one agent, in the order of time. Their posts had the interval.
_VALUES: Final = """
SELECT timestamp_ms, value, target, checksum, key, data_type, metadata
FROM datapoints JOIN series ON series.id = series_id WHERE agent_id = ? ORDER BY timestamp_ms
"""
_AGENTS: Final = """
SELECT agent_id, max(polling_interval_ms), max(envelope_ms) FROM posts WHERE datapoints > 0 GROUP BY agent_id
"""

#: timestamp_ms, value, target, checksum, key, data_type, metadata
_Row = tuple[int, float, str, str, str, int, str]


def take_over(path: Path, limits: Limits) -> None:
    """Take over the database at `path` if an earlier release made it. Raises `StoreError`."""
    try:
        if database.version_of(path) != _BEFORE:
            return
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as old:
            # Back to one file, since it will have another name.
            old.execute("PRAGMA journal_mode = DELETE").fetchone()
            with Store(new, limits) as store:
                values = sum(_copy(old, store, *agent) for agent in old.execute(_AGENTS).fetchall())
        kept = path.with_name(f"{path.name}.before-{time.time_ns() // 1_000_000}")
        # Two names for a moment: so a kill leaves one of them at `path`.
        kept.hardlink_to(path)
        new.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{path}: of an earlier release, and could not be taken over: {error}; expected one that can"
            " be, or another --database"
        ) from error
    _log.info(
        "took over %s of an earlier release, which is kept as %s", counted(values, "value"), kept
    )


def _copy(
    old: sqlite3.Connection, store: Store, agent_id: str, interval_ms: int, envelope_ms: int
) -> int:
    stored = 0
    polls: list[Datapoint] = []
    times = 0
    rows: Iterable[_Row] = old.execute(_VALUES, (agent_id,))
    for posts, (time_ms, poll) in enumerate(groupby(rows, key=itemgetter(0))):
        polls += _points(poll, agent_id, interval_ms)
        times += 1
        if times == _AT_ONCE:
            stored += _add(store, agent_id, interval_ms, time_ms, polls)
            polls, times = [], 0
        if posts % (_AT_ONCE * _TIDY) == 0:
            store.tidy(time_ms)
    return stored + _add(store, agent_id, interval_ms, envelope_ms, polls)


def _add(
    store: Store, agent_id: str, interval_ms: int, envelope_ms: int, polls: list[Datapoint]
) -> int:
    """Store polls as if they had arrived in time: when they did is not known any more."""
    post = Post(envelope_ms, agent_id, interval_ms, tuple(polls))
    newest_ms = polls[-1].timestamp_ms if polls else envelope_ms
    return store.add(post, received_ms=newest_ms, size_bytes=0).stored


def _points(rows: Iterable[_Row], agent_id: str, interval_ms: int) -> Iterator[Datapoint]:
    for time_ms, value, target, checksum, key, data_type, metadata in rows:
        yield Datapoint(
            key=key,
            value=value,
            data_type=data_type,
            timestamp_ms=time_ms,
            checksum=checksum,
            polling_interval_ms=interval_ms,
            agent_id=agent_id,
            target=target,
            hostname=target,
            program="",
            metadata=tuple(json.loads(metadata).items()),
        )

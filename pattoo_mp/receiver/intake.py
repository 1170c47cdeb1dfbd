"""One post into the tables, by the pattoo server's rule of order.

A datapoint is kept only if its time is after the newest that the database had of its series
before the post: the order within a post does not matter. The pattoo server drops the others
without a word; here they are counted, as duplicates (a point of this time is there, and stays) or
as late. Strings make a series, but are not stored as data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pattoo_mp.receiver.post import STRING

if TYPE_CHECKING:
    import sqlite3

    from pattoo_mp.receiver.post import Datapoint, Post


@dataclass
class Intake:
    """Takes in one post; whoever uses it has begun a transaction on `connection`."""

    connection: sqlite3.Connection
    stored: int = 0
    duplicates: int = 0
    late: int = 0
    _series: dict[tuple[str, str], int] = field(default_factory=dict)
    _newest: dict[int, int] = field(default_factory=dict)

    def add(self, post: Post) -> None:
        """Store and count the datapoints of `post`."""
        for point in post.datapoints:
            series = self._series_of(point)
            if point.data_type != STRING:
                self._add(series, point)

    def stale(self, post: Post) -> bool:
        """Say whether the agent's envelopes do not grow: the pattoo server may overwrite this."""
        (greatest,) = self.connection.execute(
            "SELECT max(envelope_ms) FROM posts WHERE agent_id = ?", (post.agent_id,)
        ).fetchone()
        return greatest is not None and post.timestamp_ms <= greatest

    def _add(self, series: int, point: Datapoint) -> None:
        if point.timestamp_ms > self._newest_of(series):
            inserted = self.connection.execute(
                "INSERT OR IGNORE INTO datapoints VALUES (?, ?, ?)",
                # The pattoo server, too, keeps all numbers by way of a float.
                (series, point.timestamp_ms, float(point.value)),
            )
            self.stored += inserted.rowcount
            self.duplicates += 1 - inserted.rowcount
        elif self._known(series, point.timestamp_ms):
            self.duplicates += 1
        else:
            self.late += 1

    def _series_of(self, point: Datapoint) -> int:
        # All datapoints of a post are of one agent.
        name = (point.target, point.checksum)
        if name not in self._series:
            self._series[name] = self._find_or_make(point)
        return self._series[name]

    def _find_or_make(self, point: Datapoint) -> int:
        found = self.connection.execute(
            "SELECT id FROM series WHERE agent_id = ? AND target = ? AND checksum = ?",
            (point.agent_id, point.target, point.checksum),
        ).fetchone()
        if found:
            return int(found[0])
        made = self.connection.execute(
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
        return int(made.lastrowid or 0)

    def _newest_of(self, series: int) -> int:
        """The newest time of `series` before this post, or -1."""
        if series not in self._newest:
            (newest,) = self.connection.execute(
                "SELECT max(timestamp_ms) FROM datapoints WHERE series_id = ?", (series,)
            ).fetchone()
            self._newest[series] = -1 if newest is None else newest
        return self._newest[series]

    def _known(self, series: int, timestamp_ms: int) -> bool:
        found = self.connection.execute(
            "SELECT 1 FROM datapoints WHERE series_id = ? AND timestamp_ms = ?",
            (series, timestamp_ms),
        ).fetchone()
        return found is not None

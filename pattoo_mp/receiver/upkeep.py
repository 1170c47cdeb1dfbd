"""What is done to the store now and then: sealing, and removing what is too old or too much.

All times are Unix time in ms.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver import sealing
from pattoo_mp.receiver.database import HOUR, MINUTE, RAW, STEP_MS, TIERS
from pattoo_mp.receiver.sealing import AHEAD_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pattoo_mp.receiver.database import Layouts

_log: Final = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
#: A block has about so many values of each series, and not many more values than this in all.
_ROWS: Final = 600
_VALUES: Final = 500_000
#: So many of the newest polls stay as they came, for those who follow them.
_FOLLOWED: Final = 100
#: Minutes and hours of an agent are sealed by so many.
_BUCKETS: Final = (0, 120, 168)
#: What is older (ms) is sealed, however little it is.
_UNSEALED_MS: Final = (DAY_MS, 3 * DAY_MS, 60 * DAY_MS)
#: Of `max_bytes`: from here on the oldest detail is removed. The rest is for the journal, and for posts meanwhile.
_FULL: Final = 0.9
#: So much may remain then.
_ROOMY: Final = 0.89
#: Of the bytes of all blocks: a tier with less is left alone as long as another has more than its own.
_SHARES: Final = (0.5, 0.35, 0.15)
#: A series takes about so many bytes, without its metadata.
SERIES_BYTES: Final = 300
#: Of `max_bytes`: where lists of series have more, those that are not used any more go with each block.
_LAYOUTS: Final = 0.01
#: So many gaps, and late times, of an agent are kept: the newest. One that is always slow has many.
_GAPS: Final = 20_000
#: How many blocks are removed in one transaction, at most.
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: bytes on the disk in all, for how long (ms) by tier, agents, and series of each."""

    max_bytes: int = 2_000_000_000
    retention_ms: tuple[int, int, int] = (14 * DAY_MS, 92 * DAY_MS, 731 * DAY_MS)
    agents: int = 1_000
    series: int = 30_000


class Upkeep:
    """Keeps the database of `connection` small. `transaction` begins one, and ends it with its block."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        layouts: Layouts,
        limits: Limits,
        transaction: Callable[[], AbstractContextManager[sqlite3.Connection]],
    ) -> None:
        self._connection = connection
        self._layouts = layouts
        self._limits = limits
        self._transaction = transaction

    # --- sealing

    def seal_full(self, agent: int, rows: int, values: int) -> bool:
        """Seal the polls of an agent that has so many rows and values, if they are many. Return whether."""
        if rows <= _ROWS + _FOLLOWED and values <= _VALUES:
            return False
        newest = self._connection.execute(
            "SELECT time_ms, layout FROM polls WHERE agent = ? ORDER BY time_ms DESC LIMIT ?",
            (agent, _FOLLOWED + 1),
        ).fetchall()
        if len(newest) < 2:
            return False
        layouts = {layout for _, layout in newest}
        width = len({series for layout in layouts for series in self._layouts.series(layout)})
        # Where each value has a time of its own, a poll is many rows.
        if values <= min(_VALUES, (_ROWS + _FOLLOWED) * width):
            return False
        # Of very many series fewer polls stay: a fifth of what is too much.
        stay = max(1, min(len(newest) - 1, _VALUES // 5 // width))
        self._seal_polls(agent, newest[stay][0])
        return True

    def _seal_polls(self, agent: int, before_ms: int) -> None:
        with self._transaction() as connection:
            sealing.seal_polls(connection, self._layouts, agent, before_ms)

    def seal_old(self, now_ms: int) -> Iterator[None]:
        """Seal what is old, however little it is, and minutes and hours that are many; an agent at a step."""
        old_ms = now_ms - _UNSEALED_MS[RAW]
        for agent, first_ms in self._connection.execute(
            "SELECT agent, min(time_ms) FROM polls GROUP BY agent"
        ).fetchall():
            if first_ms < old_ms:
                self._seal_polls(agent, old_ms)
                yield
        for tier in (MINUTE, HOUR):
            yield from self._seal_buckets(tier, now_ms)

    def _seal_buckets(self, tier: int, now_ms: int) -> Iterator[None]:
        above = STEP_MS[min(tier + 1, HOUR)]
        old_ms = (now_ms - _UNSEALED_MS[tier]) // above * above
        for agent, rows, first_ms, last_ms in self._connection.execute(
            "SELECT agent, count(DISTINCT time_ms), min(time_ms), max(time_ms) FROM buckets"
            " WHERE tier = ? GROUP BY agent",
            (tier,),
        ).fetchall():
            is_many = rows > _BUCKETS[tier] + above // STEP_MS[tier]
            cut = last_ms // above * above if is_many else old_ms
            if cut > first_ms:
                self._seal_buckets_of(agent, tier, cut, now_ms)
                yield

    def _seal_buckets_of(self, agent: int, tier: int, before_ms: int, now_ms: int) -> None:
        # What a clock that was ahead has left gets blocks of its own (`make_room`).
        ahead_ms = -(-(now_ms + AHEAD_MS) // STEP_MS[HOUR]) * STEP_MS[HOUR]
        with self._transaction() as connection:
            for each_ms in sorted({min(before_ms, ahead_ms), before_ms}):
                sealing.seal_buckets(connection, self._layouts, agent, tier, each_ms)

    # --- retention

    def forget(self, now_ms: int) -> bool:
        """Remove what is older than its retention. Return whether names of series are among it."""
        kept = self._limits.retention_ms
        oldest_ms = now_ms - max(kept)
        with self._transaction() as connection:
            removed = sum(
                connection.execute(
                    "DELETE FROM blocks WHERE tier = ? AND last_ms < ?",
                    (tier, now_ms - retention_ms),
                ).rowcount
                for tier, retention_ms in enumerate(kept)
            )
            connection.execute("DELETE FROM gaps WHERE before_ms < ?", (oldest_ms,))
            connection.execute("DELETE FROM late WHERE to_ms < ?", (oldest_ms,))
            self._forget_many(connection, "gaps", "after_ms")
            self._forget_many(connection, "late", "from_ms")
            if removed:
                self._forget_layouts(connection)
            return self._forget_series(connection, oldest_ms)

    def _forget_many(self, connection: sqlite3.Connection, table: str, start: str) -> None:
        """Remove the oldest gaps, or late times, of agents that have too many."""
        for (agent,) in connection.execute(
            f"SELECT agent FROM {table} GROUP BY agent HAVING count(*) > ?",  # noqa: S608 - of this file
            (_GAPS,),
        ).fetchall():
            connection.execute(
                f"DELETE FROM {table} WHERE agent = ?1 AND {start} <= (SELECT {start} FROM {table}"  # noqa: S608
                f" WHERE agent = ?1 ORDER BY {start} DESC LIMIT 1 OFFSET ?2)",
                (agent, _GAPS),
            )

    def _forget_layouts(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM layouts WHERE id NOT IN (SELECT layout FROM polls"
            " UNION SELECT layout FROM buckets UNION SELECT layout FROM blocks)"
        )
        self._layouts.forget()

    def _forget_series(self, connection: sqlite3.Connection, oldest_ms: int) -> bool:
        """Remove the names of series of which nothing is left, and then of agents."""
        old = connection.execute("SELECT id FROM series WHERE last_ms < ?", (oldest_ms,)).fetchall()
        unsealed = {
            series
            for (layout,) in connection.execute("SELECT DISTINCT layout FROM polls").fetchall()
            for series in self._layouts.series(layout)
        }
        gone = [each for each in old if each[0] not in unsealed]
        connection.executemany("DELETE FROM series WHERE id = ?", gone)
        connection.execute(
            "DELETE FROM agents WHERE id NOT IN (SELECT agent FROM series) AND heard_ms < ?",
            (oldest_ms,),
        )
        return bool(gone)

    def names_bytes(self) -> int:
        """Bytes of what is not in blocks, and so not removed: names and metadata of series, and texts."""
        (size,) = self._connection.execute(
            "SELECT (SELECT total(length(CAST(metadata AS BLOB))) + count(*) * ? FROM series)"
            " + (SELECT total(length(CAST(value AS BLOB))) FROM texts)",
            (SERIES_BYTES,),
        ).fetchone()
        return int(size)

    def _used(self) -> int:
        """Bytes of the file in use."""
        (pages,), (free,), (size,) = (
            self._connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        used: int = (pages - free) * size
        return used

    def _most_detail(self, ahead_ms: int) -> int | None:
        """The most detailed tier whose blocks have more than their share; None if there are no blocks.

        Before, one that has blocks of later than `ahead_ms`.
        """
        for tier in TIERS:
            if self._connection.execute(
                "SELECT 1 FROM blocks WHERE tier = ? AND last_ms > ? LIMIT 1", (tier, ahead_ms)
            ).fetchone():
                return tier
        sizes = dict(
            self._connection.execute("SELECT tier, sum(size) FROM blocks GROUP BY tier").fetchall()
        )
        whole = sum(sizes.values())
        return next((tier for tier in sorted(sizes) if sizes[tier] >= _SHARES[tier] * whole), None)

    def make_room(self, now_ms: int) -> Iterator[int]:
        """Remove the oldest detail until the store is within its limit: how many blocks, at each step.

        What a clock that was ahead has left goes first: it would stay when all else has gone.
        """
        has_sealed = False
        ahead_ms = now_ms + AHEAD_MS
        while self._used() > _FULL * self._limits.max_bytes:
            tier = self._most_detail(ahead_ms)
            if tier is None:
                if has_sealed:
                    break
                # There are many agents, or little room. What is sealed can be removed.
                yield from self._seal_all(now_ms)
                has_sealed = True
                continue
            excess = self._used() - _ROOMY * self._limits.max_bytes
            with self._transaction() as connection:
                removed = []
                for block, size, last_ms in self._first_to_go(tier, ahead_ms):
                    connection.execute("DELETE FROM blocks WHERE id = ?", (block,))
                    removed.append(last_ms)
                    excess -= size
                    if excess < 0:
                        break
                through_ms = [last_ms for last_ms in removed if last_ms <= ahead_ms]
                if through_ms:
                    connection.execute(
                        "INSERT INTO facts VALUES ('dropped_through_ms', ?) ON CONFLICT DO UPDATE"
                        " SET value = max(value, excluded.value)",
                        (max(through_ms),),
                    )
                if self._layouts_bytes() > _LAYOUTS * self._limits.max_bytes:
                    self._forget_layouts(connection)
            _log.info(
                "the store is at its limit of %d bytes: removed %d blocks of the oldest detail",
                self._limits.max_bytes,
                len(removed),
            )
            yield len(removed)
        self._shrink()

    def _first_to_go(self, tier: int, ahead_ms: int) -> list[tuple[int, int, int]]:
        """Blocks of a tier, in the order in which they are removed: id, size, time of the last row."""
        for since_ms in (ahead_ms, -1):
            found = self._connection.execute(
                "SELECT id, size, last_ms FROM blocks WHERE tier = ? AND last_ms > ? ORDER BY last_ms LIMIT ?",
                (tier, since_ms, _AT_ONCE),
            ).fetchall()
            if found:
                break
        return found

    def _layouts_bytes(self) -> int:
        (size,) = self._connection.execute("SELECT total(length(series)) FROM layouts").fetchone()
        return int(size)

    def _seal_all(self, now_ms: int) -> Iterator[int]:
        """Seal all but the newest poll of each agent, an agent at a step. No blocks are removed: 0 of them."""
        for agent, last_ms in self._connection.execute(
            "SELECT agent, max(time_ms) FROM polls GROUP BY agent"
        ).fetchall():
            self._seal_polls(agent, last_ms)
            yield 0
        for tier in (MINUTE, HOUR):
            above = STEP_MS[min(tier + 1, HOUR)]
            for agent, last_ms in self._connection.execute(
                "SELECT agent, max(time_ms) FROM buckets WHERE tier = ? GROUP BY agent", (tier,)
            ).fetchall():
                self._seal_buckets_of(agent, tier, last_ms // above * above, now_ms)
                yield 0

    def _shrink(self) -> None:
        """Give free pages back to the disk, a few at a time, if they are many."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > pages // 5 and free > 2_000:
            self._connection.execute("PRAGMA incremental_vacuum(2000)").fetchall()

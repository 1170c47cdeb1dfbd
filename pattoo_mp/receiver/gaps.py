"""The gaps between the polls of an agent, and the polls that came late: found as they come, and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    #: Runs a query with its parameters, and returns all rows.
    Query = Callable[..., list[Any]]

#: Polls that arrive later than so many intervals and so much are late; an agent that is silent for longer
#: than three intervals and so much is silent.
LATE_INTERVALS: Final = 2
SLACK_MS: Final = 5_000
#: A range has so many gaps, and late times, at most: the newest.
MOST_GAPS: Final = 1_000
#: Single missed ticks, and not an outage, are so many in a row at most.
_FEW: Final = 5


@dataclass(slots=True)
class Course:
    """How the polls of an agent come: which is the newest, in time or not, and where some are missing.

    Polls whose time is far ahead are kept away from it: the newest one would hide all later gaps.
    """

    agent: int
    newest_ms: int
    interval_ms: int
    #: The start of the late polls that its newest poll belongs to.
    _late_from_ms: int | None = None
    _late_to_ms: int = 0

    def poll(
        self, connection: sqlite3.Connection, time_ms: int, interval_ms: int, lag_ms: int
    ) -> None:
        """Note a poll of this time, which came `lag_ms` after it."""
        if time_ms > self.newest_ms:
            slowest = max(interval_ms, self.interval_ms)
            if self.newest_ms and 2 * (time_ms - self.newest_ms) > 3 * slowest:
                self._add_gap(connection, self.newest_ms, time_ms, interval_ms)
            self.newest_ms, self.interval_ms = time_ms, interval_ms
        elif time_ms < self.newest_ms:
            self._fill(connection, time_ms)
        if lag_ms <= LATE_INTERVALS * interval_ms + SLACK_MS:
            self._late_from_ms = None
            return
        if self._late_from_ms is None or time_ms < self._late_to_ms:
            self._late_from_ms = time_ms
        self._late_to_ms = time_ms
        connection.execute(
            "INSERT INTO late VALUES (?1, ?2, ?3, 1, ?4) ON CONFLICT DO UPDATE"
            " SET to_ms = max(to_ms, ?3), polls = polls + 1, lag_ms = max(lag_ms, ?4)",
            (self.agent, self._late_from_ms, time_ms, lag_ms),
        )

    def _add_gap(
        self, connection: sqlite3.Connection, after_ms: int, before_ms: int, interval_ms: int
    ) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?)",
            (self.agent, after_ms, before_ms, interval_ms),
        )

    def _fill(self, connection: sqlite3.Connection, time_ms: int) -> None:
        """A poll has come that was missing: its gap ends, or becomes two."""
        gap = connection.execute(
            "SELECT after_ms, before_ms, interval_ms FROM gaps WHERE agent = ? AND after_ms < ?"
            " AND before_ms > ? ORDER BY after_ms DESC LIMIT 1",
            (self.agent, time_ms, time_ms),
        ).fetchone()
        if gap is None:
            return
        after_ms, before_ms, interval_ms = gap
        connection.execute(
            "DELETE FROM gaps WHERE agent = ? AND after_ms = ?", (self.agent, after_ms)
        )
        for start, end in ((after_ms, time_ms), (time_ms, before_ms)):
            if 2 * (end - start) > 3 * interval_ms:
                self._add_gap(connection, start, end, interval_ms)


def agent_state(now_ms: int, heard_ms: int, lag_ms: int, interval_ms: int) -> str:
    """Whether an agent is `live`, `late` or `silent`."""
    if now_ms - heard_ms > 3 * interval_ms + SLACK_MS:
        return "silent"
    return "late" if lag_ms > LATE_INTERVALS * interval_ms + SLACK_MS else "live"


def gaps_in(
    query: Query, agent: int, from_ms: int, to_ms: int, now_ms: int
) -> tuple[list[dict[str, Any]], bool]:
    """The gaps of an agent that touch a range, oldest first, and whether there are more."""
    rows = query(
        "SELECT after_ms, before_ms, interval_ms FROM gaps WHERE agent = ? AND before_ms >= ?"
        " AND after_ms <= ? ORDER BY after_ms DESC LIMIT ?",
        agent, from_ms, to_ms, MOST_GAPS + 1,
    )  # fmt: skip
    found = [_gap(*row) for row in reversed(rows[:MOST_GAPS])]
    (newest_ms, interval_ms) = query(
        "SELECT newest_ms, interval_ms FROM agents WHERE id = ?", agent
    )[0]
    if newest_ms and now_ms - newest_ms > 3 * interval_ms + SLACK_MS and to_ms >= newest_ms:
        missed = (now_ms - newest_ms) // interval_ms
        found.append({"after_ms": newest_ms, "before_ms": None, "missed": missed, "kind": "open"})
    return found, len(rows) > MOST_GAPS


def late_in(query: Query, agent: int, from_ms: int, to_ms: int) -> list[dict[str, int]]:
    """The runs of late polls of an agent that touch a range, oldest first."""
    rows = query(
        "SELECT from_ms, to_ms, polls, lag_ms FROM late WHERE agent = ? AND to_ms >= ?"
        " AND from_ms <= ? ORDER BY from_ms DESC LIMIT ?",
        agent, from_ms, to_ms, MOST_GAPS,
    )  # fmt: skip
    names = ("from_ms", "to_ms", "polls", "lag_ms")
    return [dict(zip(names, row, strict=True)) for row in reversed(rows)]


def _gap(after_ms: int, before_ms: int, interval_ms: int) -> dict[str, Any]:
    missed = max(1, round((before_ms - after_ms) / interval_ms) - 1)
    kind = "missed" if missed <= _FEW else "outage"
    return {"after_ms": after_ms, "before_ms": before_ms, "missed": missed, "kind": kind}

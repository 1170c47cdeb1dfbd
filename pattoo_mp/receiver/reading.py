"""What can be asked of the store. Nothing here writes; many may read while one process stores.

A range is made of what is sealed in the tier that suits its points, and of what has not been sealed yet in
the tiers below: there each value is in one place only (`database`). All times are Unix time in ms.
"""

from __future__ import annotations

import json
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pattoo_mp.receiver.columns import decode_integers
from pattoo_mp.receiver.database import RAW, TIER_NAMES, TIERS, Layouts, Series, open_reader
from pattoo_mp.receiver.gaps import MOST_GAPS, agent_state, gaps_in, late_in
from pattoo_mp.receiver.ranges import Ranges
from pattoo_mp.receiver.upkeep import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from pattoo_mp.receiver.ranges import Grid, Points

#: So many polls are given to one who follows; who is further behind asks for the range again.
_MOST_POLLS: Final = 5_000
#: A series that is in none of so many of the newest polls has the value that was sealed last.
_LOOKED_AT: Final = 300


#: Of a poll: agent, time, how late it came, layout, numbers.
_Row = tuple[int, int, int, int, bytes]


class NotFound(LookupError):  # noqa: N818 - it is an answer to a client, not a fault of ours
    """There is no such series or agent. The message names it."""


class StoredPoint(NamedTuple):
    """A value, with the names of its series."""

    timestamp_ms: int
    agent_id: str
    target: str
    key: str
    metadata: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all agents; `datapoints` counts all received ones, stored or not."""

    posts: int
    polls: int
    datapoints: int
    stored: int
    duplicates: int
    late: int
    refused: int
    bytes: int
    stale_envelopes: int
    series: int


class Reader:
    """The store at `path`, to read. Its methods may be called from any thread, each of which has a connection.

    Raises `StoreError` if it does not exist, or is no store. All methods may raise `sqlite3.Error`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        self._connection()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._opening:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread; a new one if another file has taken the place of a damaged one."""
        try:
            file = self._path.stat().st_ino
        except OSError:
            file = 0
        if getattr(self._own, "file", None) != file:
            connection = open_reader(self._path)
            with self._opening:
                self._open.append(connection)
            self._own.connection, self._own.file = connection, file
            self._own.layouts = Layouts(connection)
        found: sqlite3.Connection = self._own.connection
        return found

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        return self._connection().execute(query, parameters).fetchall()

    @property
    def _layouts(self) -> Layouts:
        self._connection()
        layouts: Layouts = self._own.layouts
        return layouts

    # --- sums, and the newest for a person

    def totals(self) -> Totals:
        """The sums over all agents."""
        (row,) = self._rows(
            "SELECT total(posts), total(polls), total(datapoints), total(stored), total(duplicates),"
            " total(late), total(refused), total(bytes), total(stale_envelopes),"
            " (SELECT count(*) FROM series) FROM agents"
        )
        return Totals(*map(int, row))

    def timestamps(self, agent_id: str) -> tuple[int, ...]:
        """The distinct times of an agent's polls, oldest first, as long as they are kept whole."""
        (number,) = self._rows("SELECT id FROM agents WHERE agent_id = ?", agent_id) or [(None,)]
        times = {row[0] for row in self._rows("SELECT time_ms FROM polls WHERE agent = ?", *number)}
        for rows, packed in self._rows(
            "SELECT rows, times FROM blocks WHERE agent = ? AND tier = ?", *number, RAW
        ):
            times.update(decode_integers(packed, rows))
        return tuple(sorted(times))

    def latest(self, limit: int) -> tuple[StoredPoint, ...]:
        """The newest values of all agents, at most `limit`, newest first.

        Of what has been sealed, the newest value of each series.
        """
        found: list[StoredPoint] = []
        names: dict[int, tuple[str, str, str, dict[str, str]]] = {}
        for time_ms, agent, layout, numbers in self._rows(
            "SELECT time_ms, agent, layout, numbers FROM polls ORDER BY time_ms DESC, id LIMIT ?",
            limit,
        ):
            if len(found) >= limit:
                break
            series = self._layouts.series(layout)
            if not names.keys() >= set(series):
                names.update(self._names(agent))
            values = array("d", numbers)
            points = [
                StoredPoint(time_ms, *names[each], value)
                for each, value in zip(series, values, strict=True)
            ]
            found += sorted(points, key=lambda point: (point.key, sorted(point.metadata.items())))
        if len(found) < limit:
            found += self._sealed_last(found[-1].timestamp_ms if found else None)
        return tuple(found[:limit])

    def _sealed_last(self, before_ms: int | None) -> Iterator[StoredPoint]:
        for agent_id, target, key, metadata, last_ms, last in self._rows(
            "SELECT agent_id, target, key, metadata, last_ms, last FROM series"
            " JOIN agents ON agents.id = agent WHERE last_ms < coalesce(?, last_ms + 1)"
            " ORDER BY last_ms DESC, key",
            before_ms,
        ):
            yield StoredPoint(last_ms, agent_id, target, key, json.loads(metadata), last)

    def _names(self, agent: int) -> dict[int, tuple[str, str, str, dict[str, str]]]:
        return {
            series: (agent_id, target, key, json.loads(metadata))
            for series, agent_id, target, key, metadata in self._rows(
                "SELECT series.id, agent_id, target, key, metadata FROM series"
                " JOIN agents ON agents.id = agent WHERE agent = ?",
                agent,
            )
        }

    # --- agents

    def agents(self, now_ms: int) -> list[dict[str, Any]]:
        """All agents, those in trouble first."""
        since = now_ms - DAY_MS
        found = []
        for row in self._rows(
            "SELECT id, agent_id, host, program, interval_ms, first_ms, newest_ms, heard_ms, lag_ms,"
            " posts, stored, duplicates, refused_series, bytes,"
            " (SELECT count(*) FROM series WHERE agent = agents.id) FROM agents"
        ):
            (
                number,
                agent_id,
                host,
                program,
                interval_ms,
                first_ms,
                newest_ms,
                heard_ms,
                lag_ms,
            ) = row[:9]
            (posts, stored, duplicates, refused_series, size, series) = row[9:]
            if not series:
                continue  # it has only tested this receiver so far
            gaps, _ = gaps_in(self._rows, number, since, now_ms, now_ms)
            (late_polls,) = self._rows(
                "SELECT total(polls) FROM late WHERE agent = ? AND to_ms >= ?", number, since
            )[0]
            found.append(
                {
                    "id": number, "agent_id": agent_id, "host": host, "program": program,
                    "interval_ms": interval_ms, "series": series, "first_ms": first_ms,
                    "newest_ms": newest_ms, "heard_ms": heard_ms, "lag_ms": lag_ms,
                    "state": agent_state(now_ms, heard_ms, lag_ms, interval_ms),
                    "gaps_day": {"gaps": len(gaps), "missed": sum(gap["missed"] for gap in gaps)},
                    "late_polls_day": int(late_polls), "refused_series": refused_series, "posts": posts,
                    "samples": stored, "duplicates": duplicates, "bytes": size,
                }
            )  # fmt: skip
        order = {"silent": 0, "late": 1, "live": 2}
        found.sort(
            key=lambda each: (order[each["state"]], -each["gaps_day"]["missed"], each["host"])
        )
        return found

    # --- series

    def search(
        self, words: str, agent: int | None, limit: int, offset: int
    ) -> tuple[int, list[dict[str, Any]]]:
        """How many series have all of the words, and `limit` of them from `offset` on, with their newest values."""
        wanted = words.casefold().split()
        every = self._series("?1 IS NULL OR agent = ?1", agent)
        hits = [series for series in every if _has(series, wanted)]
        shown = hits[offset : offset + limit]
        newest = self._newest_values(shown)
        return len(hits), [_described(series, newest.get(series.id)) for series in shown]

    def series(self, numbers: Sequence[int]) -> list[Series]:
        """These series, in this order. Raises `NotFound`."""
        marks = ", ".join("?" * len(numbers))
        found = {each.id: each for each in self._series(f"series.id IN ({marks})", *numbers)}
        for number in numbers:
            if number not in found:
                raise NotFound(f"there is no series {number}")
        return [found[number] for number in numbers]

    def _series(self, where: str, *parameters: object) -> Iterator[Series]:
        for (
            number,
            agent,
            host,
            key,
            data_type,
            interval_ms,
            metadata,
            last_ms,
            last,
        ) in self._connection().execute(
            "SELECT id, agent, target, key, data_type, interval_ms, metadata, last_ms, last"  # noqa: S608 - of this file
            f" FROM series WHERE {where} ORDER BY target, key, id",
            parameters,
        ):
            names: dict[str, str] = json.loads(metadata)
            yield Series(number, agent, host, key, data_type, interval_ms, names, last_ms, last)

    def _newest_values(self, wanted: Sequence[Series]) -> dict[int, tuple[int, float | str]]:
        """The newest value of each series, with its time."""
        found: dict[int, tuple[int, float | str]] = {
            each.id: (each.last_ms, each.last)
            for each in wanted
            if each.last_ms is not None and each.last is not None
        }
        for series in wanted:
            if series.kind == "text":
                rows = self._rows(
                    "SELECT time_ms, value FROM texts WHERE series = ? ORDER BY time_ms DESC LIMIT 1",
                    series.id,
                )
                found.update(dict.fromkeys([series.id], rows[0]) if rows else {})
        for agent in {series.agent for series in wanted}:
            left = {each.id for each in wanted if each.agent == agent and each.kind != "text"}
            for time_ms, layout, values in self._newest_first(agent):
                if not left:
                    break
                for place, number in enumerate(layout):
                    if number in left:
                        left.discard(number)
                        found[number] = (time_ms, values[place])
        return found

    def _newest_first(self, agent: int) -> Iterator[tuple[int, array[int], array[float]]]:
        """The polls of an agent that are not sealed: time, series, values."""
        for time_ms, layout, numbers in self._connection().execute(
            "SELECT time_ms, layout, numbers FROM polls WHERE agent = ? ORDER BY time_ms DESC LIMIT ?",
            (agent, _LOOKED_AT),
        ):
            yield time_ms, self._layouts.series(layout), array("d", numbers)

    # --- ranges

    def range(
        self, numbers: Sequence[int], from_ms: int, to_ms: int, points: int, now_ms: int
    ) -> dict[str, Any]:
        """The range of these series, reduced to at most `points` points. Raises `NotFound`."""
        connection = self._connection()
        connection.execute("BEGIN")  # one moment of the store for all
        try:
            asked = self.series(numbers)
            wanted = [series for series in asked if series.kind != "text"]
            ranges = Ranges(connection, self._layouts)
            grid = ranges.grid(wanted, from_ms, to_ms, points)
            agents = sorted({series.agent for series in asked})
            found: dict[int, Points] = {}
            for agent in {series.agent for series in wanted}:
                own = [series for series in wanted if series.agent == agent]
                found.update(ranges.points(agent, own, grid))
            return {
                "now_ms": now_ms,
                "from_ms": grid.from_ms,
                "to_ms": grid.to_ms,
                "step_ms": grid.step_ms,
                "resolution": TIER_NAMES[grid.tier],
                "times": grid.times,
                "series": [found[series.id].listed(series) for series in wanted],
                "texts": [self._changes(series, grid) for series in asked if series.kind == "text"],
                "agents": [self._axis(agent, grid, now_ms) for agent in agents],
                "cursor": self._cursor(),
            }
        finally:
            connection.execute("COMMIT")

    def _changes(self, series: Series, grid: Grid) -> dict[str, Any]:
        """The values of a text in a range, where they changed; the first is from before the range."""
        rows = self._rows(
            "SELECT time_ms, value FROM texts WHERE series = ?1 AND time_ms < ?3 AND time_ms >= coalesce("
            "(SELECT max(time_ms) FROM texts WHERE series = ?1 AND time_ms <= ?2), ?2) ORDER BY time_ms",
            series.id, grid.from_ms, grid.to_ms,
        )  # fmt: skip
        return {"id": series.id, "changes": [{"time_ms": at, "value": value} for at, value in rows]}

    def _axis(self, agent: int, grid: Grid, now_ms: int) -> dict[str, Any]:
        gaps, more = gaps_in(self._rows, agent, grid.from_ms, grid.to_ms, now_ms)
        late = late_in(self._rows, agent, grid.from_ms, grid.to_ms)
        more = more or len(late) == MOST_GAPS
        return {"agent": agent, "gaps": gaps, "late": late, "more": more}

    # --- the newest values

    def _cursor(self) -> int:
        # It goes on where the rows have gone.
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'polls'")
        return int(rows[0][0]) if rows else 0

    def newest(
        self, numbers: Sequence[int], agent: int | None, since: int | None, now_ms: int
    ) -> dict[str, Any]:
        """The newest polls of these series, or of all of an agent; with `since`, all that arrived after it.

        Raises `NotFound`.
        """
        by_agent: dict[int, set[int] | None] = {}
        for series in self.series(numbers):
            chosen = by_agent.setdefault(series.agent, set())
            if chosen is not None:
                chosen.add(series.id)
        if agent is not None:
            self._require_agent(agent)
            by_agent[agent] = None
        cursor = self._cursor()
        answer: dict[str, Any] = {"now_ms": now_ms, "cursor": cursor, "behind": False, "polls": []}
        if since is None:
            answer["polls"] = self._last_polls(by_agent)
        elif since != cursor:
            polls = self._polls_since(since, cursor, by_agent)
            answer.update({"behind": True} if polls is None else {"polls": polls})
        return answer

    def _require_agent(self, agent: int) -> None:
        if not self._rows("SELECT 1 FROM agents WHERE id = ?", agent):
            raise NotFound(f"there is no agent {agent}")

    def _polls_since(
        self, since: int, cursor: int, by_agent: dict[int, set[int] | None]
    ) -> list[dict[str, Any]] | None:
        """The polls that arrived between two cursors; None if some of them may be gone, or they are too many."""
        marks = ", ".join("?" * len(by_agent))
        rows = self._rows(
            "SELECT agent, time_ms, lag_ms, layout, numbers FROM polls WHERE id > ? AND id <= ?"  # noqa: S608
            f" AND agent IN ({marks}) ORDER BY id LIMIT ?",
            since, cursor, *by_agent, _MOST_POLLS + 1,
        )  # fmt: skip
        if since > cursor or len(rows) > _MOST_POLLS or self._is_behind(since, by_agent):
            return None
        polls = (self._poll(row, by_agent[row[0]]) for row in rows)
        return [poll for poll in polls if poll["series"]]

    def _is_behind(self, since: int, agents: Iterable[int]) -> bool:
        """Whether polls after `since` were sealed already, or it is of a store that was put aside."""
        names = ["first_poll", *(f"sealed_{agent}" for agent in agents)]
        marks = ", ".join("?" * len(names))
        return bool(
            self._rows(f"SELECT 1 FROM facts WHERE name IN ({marks}) AND value > ?", *names, since)  # noqa: S608
        )

    def _last_polls(self, by_agent: dict[int, set[int] | None]) -> list[dict[str, Any]]:
        """The newest poll of each agent; where it lacks some of the series wanted, those before, too."""
        polls = []
        for agent, wanted in by_agent.items():
            left = wanted
            for row in self._connection().execute(
                "SELECT agent, time_ms, lag_ms, layout, numbers FROM polls WHERE agent = ?"
                " ORDER BY time_ms DESC LIMIT 100",
                (agent,),
            ):
                poll = self._poll(row, left)
                polls += [poll] if poll["series"] else []
                left = (left or set()) - set(poll["series"])
                if not left:
                    break
        return polls[::-1]

    def _poll(self, row: _Row, wanted: Container[int] | None) -> dict[str, Any]:
        """A poll as an answer has it, with those of its series that are wanted; None: all."""
        agent, time_ms, lag_ms, layout, numbers = row
        pairs = zip(self._layouts.series(layout), array("d", numbers), strict=True)
        chosen = [pair for pair in pairs if wanted is None or pair[0] in wanted]
        return {
            "agent": agent,
            "time_ms": time_ms,
            "lag_ms": lag_ms,
            "series": [series for series, _ in chosen],
            "values": [value for _, value in chosen],
        }

    # --- figures

    def figures(self) -> dict[str, Any]:
        """The store's own figures: agents, series, bytes, and each tier."""
        (pages,), (free,), (size,) = (
            self._rows(f"PRAGMA {name}")[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        tiers = []
        for tier in TIERS:
            rows, bytes_, oldest = self._rows(
                "SELECT total(rows), total(size), min(last_ms) FROM blocks WHERE tier = ?", tier
            )[0]
            (waiting,) = self._rows(
                "SELECT count(*) FROM polls"
                if tier == RAW
                else "SELECT count(*) FROM buckets WHERE tier = ?",
                *([] if tier == RAW else [tier]),
            )[0]
            tiers.append(
                {
                    "name": TIER_NAMES[tier],
                    "rows": int(rows),
                    "bytes": int(bytes_),
                    "oldest_ms": oldest,
                    "waiting": waiting,
                }
            )
        (agents,), (series,) = (
            self._rows(f"SELECT count(*) FROM {name}")[0]  # noqa: S608 - as they stand here
            for name in ("agents", "series")
        )
        dropped = self._rows("SELECT value FROM facts WHERE name = 'dropped_through_ms'")
        return {
            "agents": agents,
            "series": series,
            "bytes": (pages - free) * size,
            "tiers": tiers,
            "dropped_through_ms": dropped[0][0] if dropped else None,
        }


def _has(series: Series, words: Sequence[str]) -> bool:
    if not words:
        return True
    named = (f"{key}={value}" for key, value in series.metadata.items())
    text = " ".join((series.host, series.key, *named)).casefold()
    return all(word in text for word in words)


def _described(series: Series, newest: tuple[int, float | str] | None) -> dict[str, Any]:
    return {
        "id": series.id, "agent": series.agent, "host": series.host, "key": series.key,
        "kind": series.kind, "data_type": series.data_type, "interval_ms": series.interval_ms,
        "metadata": series.metadata, "label": series.label,
        "newest_ms": newest[0] if newest else None, "newest": newest[1] if newest else None,
    }  # fmt: skip

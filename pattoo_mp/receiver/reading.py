"""What can be asked of the store. Nothing here writes; many may read while one process stores.

A range is made of what is sealed in the tier that suits its points, and of what has not been sealed yet in
the tiers below: there each value is in one place only (`database`). All times are Unix time in ms.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from array import array
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pattoo_mp.receiver import sealing
from pattoo_mp.receiver.columns import decode_integers
from pattoo_mp.receiver.database import (
    HOUR,
    MINUTE,
    RAW,
    STEP_MS,
    SUMMARY,
    TIER_NAMES,
    TIERS,
    Layouts,
    open_reader,
)
from pattoo_mp.receiver.decode import STRING
from pattoo_mp.receiver.sealing import COUNTERS, Known, Summary
from pattoo_mp.receiver.store import DAY_MS, LATE_INTERVALS, SLACK_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PARTS: Final = len(SUMMARY)
#: Values that a range goes through at most; where there are more, minutes or hours are taken.
_MOST_VALUES: Final = 2_000_000
#: Widths of points (ms): these, and whole multiples of a minute, an hour, or a day.
_STEPS: Final = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(1_000, 2_000, 5_000, 10_000, 15_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000),
    *(3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000),
)
#: A range has so many gaps, and late times, at most: the newest.
MOST_GAPS: Final = 1_000
#: So many polls are given to one who follows; who is further behind asks for the range again.
_MOST_POLLS: Final = 5_000
#: Single missed ticks, and not an outage, are so many in a row at most.
_FEW: Final = 5
#: Metadata that describes the host, whose name is shown already.
_HOST_METADATA: Final = frozenset({"release", "version", "processor", "type", "cpus", "hostname"})


class NotFound(LookupError):
    """There is no such series or agent. The message names it."""


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


@dataclass(slots=True)
class _Points:
    """The points of one series in a range: a summary for each that is not empty, by its place."""

    grid: Grid
    summaries: dict[int, Summary] = field(default_factory=dict)

    def add(self, place: int, summary: Summary) -> None:
        found = self.summaries.get(place)
        self.summaries[place] = summary if found is None else sealing.merged(found, summary)


class Grid(NamedTuple):
    """`count` points of `step_ms` each, from `from_ms` on, made of the rows of `tier` and below."""

    from_ms: int
    step_ms: int
    count: int
    tier: int

    @property
    def to_ms(self) -> int:
        """The end of the last point."""
        return self.from_ms + self.step_ms * self.count

    @property
    def times(self) -> list[int]:
        """The start of each point."""
        return list(range(self.from_ms, self.to_ms, self.step_ms))


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
        """This thread's connection; a new one if another file has taken the place of a damaged one."""
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
        """The newest values of all agents that are not sealed yet, at most `limit`, newest first."""
        found: list[StoredPoint] = []
        names: dict[int, tuple[str, str, str, dict[str, str]]] = {}
        cursor = self._connection().execute(
            "SELECT time_ms, agent, layout, numbers FROM polls ORDER BY time_ms DESC, id LIMIT ?",
            (limit,),
        )
        for time_ms, agent, layout, numbers in cursor.fetchall():
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
        return tuple(found[:limit])

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
            gaps, _ = self._gaps(number, since, now_ms, now_ms)
            (late,) = self._rows(
                "SELECT total(polls) FROM late WHERE agent = ? AND to_ms >= ?", number, since
            )[0]
            found.append(
                {
                    "id": number, "agent_id": agent_id, "host": host, "program": program,
                    "interval_ms": interval_ms, "series": series, "first_ms": first_ms,
                    "newest_ms": newest_ms, "heard_ms": heard_ms, "lag_ms": lag_ms,
                    "state": _state(now_ms, heard_ms, lag_ms, interval_ms),
                    "gaps_day": {"gaps": len(gaps), "missed": sum(gap["missed"] for gap in gaps)},
                    "late_polls_day": int(late), "refused_series": refused_series, "posts": posts,
                    "samples": stored, "duplicates": duplicates, "bytes": size,
                }
            )  # fmt: skip
        order = {"silent": 0, "late": 1, "live": 2}
        found.sort(
            key=lambda each: (order[each["state"]], -each["gaps_day"]["missed"], each["host"])
        )
        return found

    def _gaps(
        self, agent: int, from_ms: int, to_ms: int, now_ms: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """The gaps of an agent that touch a range, oldest first, and whether there are more."""
        rows = self._rows(
            "SELECT after_ms, before_ms, interval_ms FROM gaps WHERE agent = ? AND before_ms >= ?"
            " AND after_ms <= ? ORDER BY after_ms DESC LIMIT ?",
            agent, from_ms, to_ms, MOST_GAPS + 1,
        )  # fmt: skip
        gaps = [_gap(*row) for row in reversed(rows[:MOST_GAPS])]
        (newest_ms, interval_ms) = self._rows(
            "SELECT newest_ms, interval_ms FROM agents WHERE id = ?", agent
        )[0]
        if newest_ms and now_ms - newest_ms > 3 * interval_ms + SLACK_MS and to_ms >= newest_ms:
            missed = (now_ms - newest_ms) // interval_ms
            gaps.append(
                {"after_ms": newest_ms, "before_ms": None, "missed": missed, "kind": "open"}
            )
        return gaps, len(rows) > MOST_GAPS

    def _late(self, agent: int, from_ms: int, to_ms: int) -> list[dict[str, int]]:
        rows = self._rows(
            "SELECT from_ms, to_ms, polls, lag_ms FROM late WHERE agent = ? AND to_ms >= ?"
            " AND from_ms <= ? ORDER BY from_ms DESC LIMIT ?",
            agent, from_ms, to_ms, MOST_GAPS,
        )  # fmt: skip
        names = ("from_ms", "to_ms", "polls", "lag_ms")
        return [dict(zip(names, row, strict=True)) for row in reversed(rows)]

    # --- series

    def search(
        self, words: str, agent: int | None, limit: int, offset: int
    ) -> tuple[int, list[dict[str, Any]]]:
        """How many series have all of the words, and `limit` of them from `offset` on, with their newest values."""
        wanted = words.casefold().split()
        hits = [
            series
            for series in self._series(
                "agent = ?" if agent is not None else "?", agent if agent is not None else 1
            )
            if _has(series, wanted)
        ]
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
        for *names, metadata, last_ms, last in self._connection().execute(
            "SELECT id, agent, target, key, data_type, interval_ms, metadata, last_ms, last"  # noqa: S608 - of this file
            f" FROM series WHERE {where} ORDER BY target, key, id",
            parameters,
        ):
            yield Series(*names, json.loads(metadata), last_ms, last)

    def _newest_values(self, wanted: Sequence[Series]) -> dict[int, tuple[int, float | str]]:
        """The newest value of each series, with its time."""
        found: dict[int, tuple[int, float | str]] = {
            each.id: (each.last_ms, each.last)
            for each in wanted
            if each.last_ms is not None and each.last is not None
        }
        for each in wanted:
            if each.kind == "text":
                rows = self._rows(
                    "SELECT time_ms, value FROM texts WHERE series = ? ORDER BY time_ms DESC LIMIT 1",
                    each.id,
                )
                found.update({each.id: row for row in rows})
        for agent in {each.agent for each in wanted}:
            left = {each.id for each in wanted if each.agent == agent and each.kind != "text"}
            for time_ms, series, values, _ in self._unsealed(agent, newest_first=True):
                if not left:
                    break
                for place, each in enumerate(series):
                    if each in left:
                        left.discard(each)
                        found[each] = (time_ms, values[place])
        return found

    def _unsealed(
        self, agent: int, *, newest_first: bool = False
    ) -> Iterator[tuple[int, array[int], array[float], int]]:
        """The polls of an agent that are not sealed: time, series, values, and how late they came."""
        order = "DESC" if newest_first else "ASC"
        cursor = self._connection().execute(
            f"SELECT time_ms, layout, numbers, lag_ms FROM polls WHERE agent = ? ORDER BY time_ms {order}",  # noqa: S608
            (agent,),
        )
        for time_ms, layout, numbers, lag_ms in cursor:
            yield time_ms, self._layouts.series(layout), array("d", numbers), lag_ms

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
            grid = self._grid(wanted, from_ms, to_ms, points)
            agents = sorted({series.agent for series in wanted})
            by_series: dict[int, _Points] = {}
            for agent in agents:
                own = [series for series in wanted if series.agent == agent]
                by_series.update(self._points(agent, own, grid))
            return {
                "now_ms": now_ms,
                "from_ms": grid.from_ms,
                "to_ms": grid.to_ms,
                "step_ms": grid.step_ms,
                "resolution": TIER_NAMES[grid.tier],
                "times": grid.times,
                "series": [_listed(series, by_series[series.id]) for series in wanted],
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
        gaps, more = self._gaps(agent, grid.from_ms, grid.to_ms, now_ms)
        late = self._late(agent, grid.from_ms, grid.to_ms)
        return {"agent": agent, "gaps": gaps, "late": late, "more": more or len(late) == MOST_GAPS}

    def _grid(self, wanted: Sequence[Series], from_ms: int, to_ms: int, points: int) -> Grid:
        intervals = [series.interval_ms for series in wanted] or [1_000]
        # A point more, since the first one begins before the range.
        least = max(min(intervals), math.ceil((to_ms - from_ms) / max(1, points - 1)))
        step = _nice(least)
        tier = HOUR if step >= STEP_MS[HOUR] else MINUTE if step >= STEP_MS[MINUTE] else RAW
        span_ms = to_ms - from_ms
        if tier == RAW and (
            sum(span_ms / interval for interval in intervals) > _MOST_VALUES
            or self._lacks(wanted, RAW, from_ms)
        ):
            tier = MINUTE
        if tier == MINUTE and (
            len(intervals) * span_ms / STEP_MS[MINUTE] > _MOST_VALUES
            or self._lacks(wanted, MINUTE, from_ms)
        ):
            tier = HOUR
        step = _nice(max(least, STEP_MS[tier]))
        start = from_ms // step * step
        return Grid(start, step, min(points, max(1, math.ceil((to_ms - start) / step))), tier)

    def _lacks(self, wanted: Sequence[Series], tier: int, from_ms: int) -> bool:
        """Whether the tier above goes further back than this one, and the range as well."""
        for agent in {series.agent for series in wanted}:
            oldest = self._oldest(agent, tier)
            above = self._oldest(agent, tier + 1)
            if oldest is not None and from_ms < oldest and above is not None:
                if above + STEP_MS[tier + 1] < oldest:
                    return True
        return False

    def _oldest(self, agent: int, tier: int) -> int | None:
        """The time of the oldest row of a tier, sealed or not; None if it has none."""
        (sealed,) = self._rows(
            "SELECT min(first_ms) FROM blocks WHERE agent = ? AND tier = ?", agent, tier
        )[0]
        if sealed is not None:
            return int(sealed)
        query = (
            "SELECT min(time_ms) FROM polls WHERE agent = ?"
            if tier == RAW
            else "SELECT min(time_ms) FROM buckets WHERE agent = ? AND tier = ?"
        )
        (oldest,) = self._rows(query, agent, *([] if tier == RAW else [tier]))[0]
        return None if oldest is None else int(oldest)

    def _points(self, agent: int, wanted: Sequence[Series], grid: Grid) -> dict[int, _Points]:
        points = {series.id: _Points(grid) for series in wanted}
        for tier in TIERS[MINUTE : grid.tier + 1]:
            self._add_buckets(agent, tier, points, grid)
        if grid.tier != RAW:
            self._add_blocks(agent, points, grid)
        self._add_polls(agent, wanted, points, grid)
        return points

    def _blocks(
        self, agent: int, grid: Grid, before_ms: int = 0
    ) -> Iterator[tuple[array[int], int, bytes, bytes]]:
        """The blocks of the grid's tier that touch it: series, rows, times, columns."""
        cursor = self._connection().execute(
            "SELECT layout, rows, times, columns FROM blocks WHERE agent = ? AND tier = ? AND last_ms >= ?"
            " AND first_ms < ? ORDER BY last_ms",
            (agent, grid.tier, grid.from_ms - before_ms, grid.to_ms),
        )
        for layout, rows, times, columns in cursor:
            yield self._layouts.series(layout), rows, times, columns

    def _add_blocks(self, agent: int, points: dict[int, _Points], grid: Grid) -> None:
        for series, rows, packed, columns in self._blocks(agent, grid):
            places = [(place, each) for place, each in enumerate(series) if each in points]
            if not places:
                continue
            times = decode_integers(packed, rows)
            cuts = list(sealing.bounds(times, grid.step_ms, grid.from_ms))
            for place, each in places:
                parts = sealing.summary_columns(columns, place, len(series), rows)
                for point, start, end in cuts:
                    if 0 <= point < grid.count:
                        points[each].add(point, sealing.summary_of(parts, start, end))

    def _add_buckets(self, agent: int, tier: int, points: dict[int, _Points], grid: Grid) -> None:
        """Add the rows of a tier that are not sealed; all of them are in no block of a higher tier."""
        for time_ms, layout, packed in self._connection().execute(
            "SELECT time_ms, layout, numbers FROM buckets WHERE agent = ? AND tier = ?"
            " AND time_ms >= ? AND time_ms < ?",
            (agent, tier, grid.from_ms, grid.to_ms),
        ):
            series = self._layouts.series(layout)
            places = [(place, each) for place, each in enumerate(series) if each in points]
            if places:
                numbers = sealing.bucket_numbers(packed)
                point = (time_ms - grid.from_ms) // grid.step_ms
                for place, each in places:
                    at = place * _PARTS
                    points[each].add(point, tuple(numbers[at : at + _PARTS]))

    def _add_polls(
        self, agent: int, wanted: Sequence[Series], points: dict[int, _Points], grid: Grid
    ) -> None:
        """Add single values: those that are not sealed, and of a raw range those of its blocks."""
        runs: dict[int, list[tuple[list[int], list[float]]]] = {each.id: [] for each in wanted}
        # A counter's increase begins at the value before the range.
        before_ms = 2 * max((each.interval_ms for each in wanted), default=0)
        if grid.tier == RAW:
            for series, rows, packed, columns in self._blocks(agent, grid, before_ms):
                times: list[int] | None = None
                for place, each in enumerate(series):
                    if each in runs:
                        times = times or decode_integers(packed, rows)
                        column = sealing.polled_column(columns, place, len(series), rows)
                        runs[each].append((times, column))
        # In a tier above, it begins at the value that was sealed last.
        self._add_unsealed(
            agent, runs, grid.from_ms - before_ms if grid.tier == RAW else 0, grid.to_ms
        )
        for each in wanted:
            if not runs[each.id]:
                continue
            times, values = _joined(runs[each.id])
            known = Known(each.kind == "counter", None, None)
            if grid.tier != RAW:
                known = Known(each.kind == "counter", each.last_ms, each.last)
            cuts = sealing.bounds(times, grid.step_ms, grid.from_ms)
            for place, summary in sealing.summarize(times, values, known, cuts):
                if 0 <= place < grid.count:
                    points[each.id].add(place, summary)

    def _add_unsealed(
        self,
        agent: int,
        runs: dict[int, list[tuple[list[int], list[float]]]],
        from_ms: int,
        to_ms: int,
    ) -> None:
        new: dict[int, tuple[list[int], list[float]]] = {}
        places: dict[int, list[tuple[int, int]]] = {}
        for time_ms, layout, numbers in self._connection().execute(
            "SELECT time_ms, layout, numbers FROM polls WHERE agent = ? AND time_ms >= ? AND time_ms < ?"
            " ORDER BY time_ms",
            (agent, from_ms, to_ms),
        ):
            if layout not in places:
                series = self._layouts.series(layout)
                places[layout] = [
                    (place, each) for place, each in enumerate(series) if each in runs
                ]
            if not places[layout]:
                continue
            values = array("d", numbers)
            for place, each in places[layout]:
                times, column = new.setdefault(each, ([], []))
                times.append(time_ms)
                column.append(values[place])
        for each, run in new.items():
            runs[each].append(run)

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
        wanted = {series.id: series for series in self.series(numbers)} if numbers else {}
        if agent is not None and not self._rows("SELECT 1 FROM agents WHERE id = ?", agent):
            raise NotFound(f"there is no agent {agent}")
        agents = {series.agent for series in wanted.values()} | (
            {agent} if agent is not None else set()
        )
        cursor = self._cursor()
        answer: dict[str, Any] = {"now_ms": now_ms, "cursor": cursor, "behind": False, "polls": []}
        if since is None:
            answer["polls"] = self._last_polls(agents, wanted, agent)
            return answer
        if since == cursor:
            return answer
        marks = ", ".join("?" * len(agents))
        rows = self._rows(
            "SELECT agent, time_ms, lag_ms, layout, numbers FROM polls WHERE id > ? AND id <= ?"  # noqa: S608
            f" AND agent IN ({marks}) ORDER BY id LIMIT ?",
            since, cursor, *agents, _MOST_POLLS + 1,
        )  # fmt: skip
        if since > cursor or len(rows) > _MOST_POLLS or self._is_behind(since, agents):
            answer["behind"] = True
            return answer
        for owner, time_ms, lag_ms, layout, numbers_ in rows:
            poll = self._poll(owner, time_ms, lag_ms, layout, numbers_, wanted, agent)
            if poll["series"]:
                answer["polls"].append(poll)
        return answer

    def _is_behind(self, since: int, agents: Iterable[int]) -> bool:
        """Whether polls after `since` were sealed already, or it is of a store that was put aside."""
        names = ["first_poll", *(f"sealed_{agent}" for agent in agents)]
        marks = ", ".join("?" * len(names))
        return bool(
            self._rows(f"SELECT 1 FROM facts WHERE name IN ({marks}) AND value > ?", *names, since)  # noqa: S608
        )

    def _last_polls(
        self, agents: Iterable[int], wanted: dict[int, Series], agent: int | None
    ) -> list[dict[str, Any]]:
        polls = []
        for each in sorted(agents):
            left = {series.id for series in wanted.values() if series.agent == each}
            for row in self._connection().execute(
                "SELECT agent, time_ms, lag_ms, layout, numbers FROM polls WHERE agent = ?"
                " ORDER BY time_ms DESC LIMIT 100",
                (each,),
            ):
                poll = self._poll(*row, wanted, agent)
                if poll["series"]:
                    polls.append(poll)
                left.difference_update(poll["series"])
                if each == agent or not left:
                    break
        return polls[::-1]

    def _poll(
        self, owner: int, time_ms: int, lag_ms: int, layout: int, numbers: bytes,
        wanted: dict[int, Series], agent: int | None,
    ) -> dict[str, Any]:  # fmt: skip
        series, values = self._layouts.series(layout), array("d", numbers)
        if owner == agent:
            pairs = list(zip(series, values, strict=True))
        else:
            pairs = [pair for pair in zip(series, values, strict=True) if pair[0] in wanted]
        return {
            "agent": owner,
            "time_ms": time_ms,
            "lag_ms": lag_ms,
            "series": [each for each, _ in pairs],
            "values": [value for _, value in pairs],
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
            self._rows(f"SELECT count(*) FROM {t}")[0] for t in ("agents", "series")
        )
        dropped = self._rows("SELECT value FROM facts WHERE name = 'dropped_through_ms'")
        return {
            "agents": agents,
            "series": series,
            "bytes": (pages - free) * size,
            "tiers": tiers,
            "dropped_through_ms": dropped[0][0] if dropped else None,
        }


def _state(now_ms: int, heard_ms: int, lag_ms: int, interval_ms: int) -> str:
    if now_ms - heard_ms > 3 * interval_ms + SLACK_MS:
        return "silent"
    return "late" if lag_ms > LATE_INTERVALS * interval_ms + SLACK_MS else "live"


def _gap(after_ms: int, before_ms: int, interval_ms: int) -> dict[str, Any]:
    missed = max(1, round((before_ms - after_ms) / interval_ms) - 1)
    kind = "missed" if missed <= _FEW else "outage"
    return {"after_ms": after_ms, "before_ms": before_ms, "missed": missed, "kind": kind}


def _has(series: Series, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = " ".join(
        (series.host, series.key, *chain.from_iterable(series.metadata.items()))
    ).casefold()
    return all(word in text for word in words)


def _described(series: Series, newest: tuple[int, float | str] | None) -> dict[str, Any]:
    return {
        "id": series.id, "agent": series.agent, "host": series.host, "key": series.key,
        "kind": series.kind, "data_type": series.data_type, "interval_ms": series.interval_ms,
        "metadata": series.metadata, "label": series.label,
        "newest_ms": newest[0] if newest else None, "newest": newest[1] if newest else None,
    }  # fmt: skip


def _nice(least: int) -> int:
    """The narrowest of the usual widths that is at least so wide."""
    for step in _STEPS:
        if step >= least:
            return step
    return math.ceil(least / DAY_MS) * DAY_MS


def _joined(runs: Sequence[tuple[list[int], list[float]]]) -> tuple[list[int], list[float]]:
    """Several runs as one. They follow each other, but for polls that came late."""
    if all(one[0][-1] < other[0][0] for one, other in zip(runs, runs[1:], strict=False)):
        return (
            list(chain.from_iterable(times for times, _ in runs)),
            list(chain.from_iterable(values for _, values in runs)),
        )
    return sealing.in_order(runs)


def _listed(series: Series, points: _Points) -> dict[str, Any]:
    """The points of a series as lists, with null where there is nothing."""
    found = [points.summaries.get(place) for place in range(points.grid.count)]
    listed: dict[str, Any] = {
        "id": series.id,
        "interval_ms": series.interval_ms,
        "kind": series.kind,
        "min": [each and each[3] for each in found],
        "mean": [each and each[2] / each[0] for each in found],
        "max": [each and each[4] for each in found],
        "count": [int(each[0]) if each else 0 for each in found],
    }
    if series.kind == "counter":
        listed["increase"] = [each[5] if each and each[1] > 0 else None for each in found]
        listed["rate"] = [
            1000 * each[5] / each[1] if each and each[1] > 0 else None for each in found
        ]
    return listed

"""A range of series, reduced to points.

It is made of the blocks of the tier that suits the width of its points, and of what has not been sealed
yet in this tier and those below: each value is in one of these places only (`database`). All times are
Unix time in ms.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pattoo_mp.receiver import sealing
from pattoo_mp.receiver.columns import decode, decode_integers
from pattoo_mp.receiver.database import HOUR, MINUTE, RAW, STEP_MS, SUMMARY, TIERS
from pattoo_mp.receiver.sealing import Known, Summary

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from pattoo_mp.receiver.database import Layouts, Series

_PARTS: Final = len(SUMMARY)
_DAY_MS: Final = 86_400_000
#: Values that a range goes through at most; where there are more, minutes or hours are taken.
_MOST_VALUES: Final = 2_000_000
#: Widths of points (ms): these, and whole days.
_STEPS: Final = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(1_000, 2_000, 5_000, 10_000, 15_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000),
    *(3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, _DAY_MS),
)

#: The times and values of a series, in order.
_Run = tuple[list[int], list[float]]


class Grid(NamedTuple):
    """`points` of `step_ms` each, from `from_ms` on, made of the rows of `tier` and below."""

    from_ms: int
    step_ms: int
    points: int
    tier: int

    @property
    def to_ms(self) -> int:
        """The end of the last point."""
        return self.from_ms + self.step_ms * self.points

    @property
    def times(self) -> list[int]:
        """The start of each point."""
        return list(range(self.from_ms, self.to_ms, self.step_ms))


@dataclass(slots=True)
class Points:
    """The points of one series: a summary for each that is not empty, by its place in the grid."""

    grid: Grid
    summaries: dict[int, Summary] = field(default_factory=dict)

    def add(self, place: int, summary: Summary) -> None:
        """Add values to a point; what is outside the grid is left out."""
        if not 0 <= place < self.grid.points:
            return
        found = self.summaries.get(place)
        self.summaries[place] = summary if found is None else sealing.merged(found, summary)

    def listed(self, series: Series) -> dict[str, Any]:
        """The points as lists, with None where there is nothing."""
        found = [self.summaries.get(place) for place in range(self.grid.points)]
        lists: dict[str, Any] = {
            "id": series.id,
            "interval_ms": series.interval_ms,
            "kind": series.kind,
            "min": [each and each[3] for each in found],
            "mean": [each and _mean(each) for each in found],
            "max": [each and each[4] for each in found],
            "count": [int(each[0]) if each else 0 for each in found],
        }
        if series.kind == "counter":
            # A series' first value has none before it.
            grown = [each if each and each[1] > 0 else None for each in found]
            lists["increase"] = [each and each[5] for each in grown]
            lists["rate"] = [each and 1000 * each[5] / each[1] for each in grown]
        return lists


def _mean(summary: Summary) -> float:
    # The sum of equal values may be off by its last digit.
    return min(max(summary[2] / summary[0], summary[3]), summary[4])


class Ranges:
    """Reads ranges by one connection. The caller keeps a transaction open."""

    def __init__(self, connection: sqlite3.Connection, layouts: Layouts) -> None:
        self._connection = connection
        self._layouts = layouts

    def grid(self, wanted: Sequence[Series], from_ms: int, to_ms: int, points: int) -> Grid:
        """Return the grid of at most `points` points, at least two, that a range of these series is reduced to."""
        span_ms = to_ms - from_ms
        intervals = [_interval_ms(series) for series in wanted] or [1_000]
        # A point less, since the first one begins before the range.
        least = max(min(intervals), math.ceil(span_ms / (points - 1)))
        tier = (
            HOUR if least > STEP_MS[HOUR] // 2 else MINUTE if least > STEP_MS[MINUTE] // 2 else RAW
        )
        if min(intervals) > STEP_MS[tier] // 2 and span_ms // min(intervals) <= points:
            tier = RAW  # so few that each is a point
        if tier == RAW and (
            sum(span_ms / interval for interval in intervals) > _MOST_VALUES
            or self._has_more(wanted, from_ms, to_ms)
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
        return Grid(start, step, max(1, math.ceil((to_ms - start) / step)), tier)

    def _has_more(self, wanted: Sequence[Series], from_ms: int, to_ms: int) -> bool:
        """Whether blocks have more polls in a range than the intervals of today say."""
        values = 0
        for agent, number in Counter(series.agent for series in wanted).items():
            for (rows,) in self._connection.execute(
                "SELECT rows FROM blocks WHERE agent = ? AND tier = ? AND last_ms >= ? AND first_ms < ?",
                (agent, RAW, from_ms, to_ms),
            ):
                values += rows * number
                if values > _MOST_VALUES:
                    return True
        return False

    def _lacks(self, wanted: Sequence[Series], tier: int, from_ms: int) -> bool:
        """Whether tiers above have some of a range from `from_ms` on that this one has no more."""
        for agent in {series.agent for series in wanted}:
            own, *above = (self._oldest(agent, each) for each in TIERS[tier:])
            # The first row of a tier above may have begun before the first one of this tier.
            reach = [
                at + step
                for at, step in zip(above, STEP_MS[tier + 1 :], strict=True)
                if at is not None
            ]
            if reach and (own is None or (from_ms < own and min(reach) < own)):
                return True
        return False

    def _oldest(self, agent: int, tier: int) -> int | None:
        """The time of the oldest row of a tier, sealed or not; None if it has none."""
        (sealed,) = self._connection.execute(
            "SELECT min(first_ms) FROM blocks WHERE agent = ? AND tier = ?", (agent, tier)
        ).fetchone()
        if tier == RAW:
            query = "SELECT min(time_ms) FROM polls WHERE agent = ?1 AND ?2 = 0"
        else:
            query = "SELECT min(time_ms) FROM buckets WHERE agent = ? AND tier = ?"
        (waiting,) = self._connection.execute(query, (agent, tier)).fetchone()
        return min((at for at in (sealed, waiting) if at is not None), default=None)

    def points(self, agent: int, wanted: Sequence[Series], grid: Grid) -> dict[int, Points]:
        """Return the points of an agent's series, by their ids."""
        points = {series.id: Points(grid) for series in wanted}
        for tier in TIERS[MINUTE : grid.tier + 1]:
            self._add_buckets(agent, tier, points, grid)
        if grid.tier == RAW:
            # A counter's increase begins at the value before the range.
            before_ms = 2 * max(map(_interval_ms, wanted))
            runs = self._sealed(agent, points, grid, grid.from_ms - before_ms)
            self._add_unsealed(agent, runs, grid.from_ms - before_ms, grid.to_ms)
        else:
            self._add_blocks(agent, points, grid)
            # All of them: the increase of the first one begins at the value that was sealed last.
            runs = defaultdict(list, {series: [] for series in points})
            self._add_unsealed(agent, runs, 0, grid.to_ms)
        for series in wanted:
            if runs[series.id]:
                self._add_values(series, _joined(runs[series.id]), points[series.id])
        return points

    def _add_values(self, series: Series, run: _Run, points: Points) -> None:
        grid = points.grid
        sealed = (None, None) if grid.tier == RAW else (series.last_ms, series.last)
        known = Known(series.kind == "counter", *sealed)
        cuts = sealing.bounds(run[0], grid.step_ms, grid.from_ms)
        for place, summary in sealing.summarize(*run, known, cuts):
            points.add(place, summary)

    def _blocks(
        self, agent: int, grid: Grid, from_ms: int
    ) -> Iterator[tuple[array[int], int, bytes, bytes]]:
        """The blocks of the grid's tier from `from_ms` on: series, rows, times, columns."""
        for layout, rows, times, columns in self._connection.execute(
            "SELECT layout, rows, times, columns FROM blocks WHERE agent = ? AND tier = ? AND last_ms >= ?"
            " AND first_ms < ? ORDER BY last_ms",
            (agent, grid.tier, from_ms, grid.to_ms),
        ):
            yield self._layouts.series(layout), rows, times, columns

    def _sealed(
        self, agent: int, points: dict[int, Points], grid: Grid, from_ms: int
    ) -> dict[int, list[_Run]]:
        """The values of the series in blocks of polls, a run for each block."""
        runs: dict[int, list[_Run]] = {series: [] for series in points}
        for series, rows, packed, columns in self._blocks(agent, grid, from_ms):
            places = [(place, each) for place, each in enumerate(series) if each in points]
            if places:
                times = decode_integers(packed, rows)
                parts = sealing.Parts(columns, len(series))
                for place, each in places:
                    runs[each].append((times, decode(parts[place], rows)))
        return runs

    def _add_unsealed(
        self, agent: int, runs: dict[int, list[_Run]], from_ms: int, to_ms: int
    ) -> None:
        """Add the polls that are in no block yet."""
        new: dict[int, _Run] = {}
        places: dict[int, list[tuple[int, int]]] = {}
        for time_ms, layout, numbers in self._connection.execute(
            "SELECT time_ms, layout, numbers FROM polls WHERE agent = ? AND time_ms >= ? AND time_ms < ?"
            " ORDER BY time_ms",
            (agent, from_ms, to_ms),
        ):
            if layout not in places:
                series = self._layouts.series(layout)
                places[layout] = [(at, each) for at, each in enumerate(series) if each in runs]
            if places[layout]:
                values = array("d", numbers)
                for place, each in places[layout]:
                    times, column = new.setdefault(each, ([], []))
                    times.append(time_ms)
                    column.append(values[place])
        for each, run in new.items():
            runs[each].append(run)

    def _add_blocks(self, agent: int, points: dict[int, Points], grid: Grid) -> None:
        """Add the blocks of minutes or hours."""
        for series, rows, packed, columns in self._blocks(agent, grid, grid.from_ms):
            places = [(place, each) for place, each in enumerate(series) if each in points]
            if not places:
                continue
            cuts = list(sealing.bounds(decode_integers(packed, rows), grid.step_ms, grid.from_ms))
            parts = sealing.Parts(columns, len(series) * _PARTS)
            for place, each in places:
                six = [decode(parts[place * _PARTS + part], rows) for part in range(_PARTS)]
                for point, start, end in cuts:
                    points[each].add(point, sealing.summary_of(six, start, end))

    def _add_buckets(self, agent: int, tier: int, points: dict[int, Points], grid: Grid) -> None:
        """Add the rows of a tier that are not sealed; they are in no row of a higher tier."""
        for time_ms, layout, packed in self._connection.execute(
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
                    points[each].add(point, sealing.summary_at(numbers, place))


def _interval_ms(series: Series) -> int:
    # Nobody polls so seldom, but a post may say so, and what is computed from it has to fit SQLite.
    return min(series.interval_ms, _DAY_MS)


def _nice(least: int) -> int:
    """The narrowest of the usual widths that is at least so wide."""
    return next((step for step in _STEPS if step >= least), math.ceil(least / _DAY_MS) * _DAY_MS)


def _joined(runs: Sequence[_Run]) -> _Run:
    """Several runs as one. They follow each other, but for polls that came late."""
    if all(one[0][-1] < other[0][0] for one, other in pairwise(runs)):
        return (
            list(chain.from_iterable(times for times, _ in runs)),
            list(chain.from_iterable(values for _, values in runs)),
        )
    return sealing.in_order(runs)

"""Rows that have become many are sealed: they go into a block, and into the rows of the next tier.

A block has the times of many rows once, and for each series a column of its values (`columns`). A series has
one column in a block of polls, and six in one of minutes or hours (`SUMMARY`). All functions work in
the caller's transaction.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from itertools import pairwise
from math import fsum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pattoo_mp.receiver.columns import decode_integers, encode, encode_integers
from pattoo_mp.receiver.database import COUNTERS, HOUR, MINUTE, RAW, STEP_MS, SUMMARY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from pattoo_mp.receiver.database import Layouts

#: So many sums may differ from the nearest decimal number, by the errors of their parts.
_NOISE: Final = 1e-13
_DECIMALS: Final = 3
_PARTS: Final = len(SUMMARY)
#: Polls from further in the future (ms) than this do not count as the newest: a clock is wrong.
AHEAD_MS: Final = 3_600_000

#: A series in a minute or an hour, in the order of `SUMMARY`.
Summary = tuple[float, float, float, float, float, float]


class Sealed(NamedTuple):
    """What was written: rows that went into blocks, and the bytes of these."""

    rows: int
    size: int


class Known(NamedTuple):
    """The newest value of a series that has been sealed, and whether the series is a counter."""

    is_counter: bool
    last_ms: int | None
    last: float | None


_UNKNOWN: Final = Known(is_counter=False, last_ms=None, last=None)


# The parts of a block.


def pack(parts: Sequence[bytes]) -> bytes:
    """Return parts of any length as one, behind a table of their lengths."""
    table = encode_integers([len(part) for part in parts])
    return b"".join([len(table).to_bytes(4, "little"), table, *parts])


class Parts:
    """The `count` parts of what `pack` returned."""

    def __init__(self, packed: bytes, count: int) -> None:
        end = 4 + int.from_bytes(packed[:4], "little")
        self._packed = packed
        self._ends = [end]
        for length in decode_integers(packed[4:end], count):
            self._ends.append(self._ends[-1] + length)

    def __getitem__(self, number: int) -> bytes:
        return self._packed[self._ends[number] : self._ends[number + 1]]


def bucket_numbers(packed: bytes) -> array[float]:
    """The numbers of a row of `buckets`: six for each series of its layout."""
    return array("d", zlib.decompress(packed))


def summary_at(numbers: Sequence[float], place: int) -> Summary:
    """Return the summary of the series at `place` of the layout of a row of `buckets`."""
    count, span_ms, total, least, greatest, increase = numbers[
        place * _PARTS : (place + 1) * _PARTS
    ]
    return count, span_ms, total, least, greatest, increase


# Summaries.


def bounds(times: Sequence[int], step_ms: int, from_ms: int = 0) -> Iterator[tuple[int, int, int]]:
    """For each bucket of `times`, which are in order: its number, and the first row in it and after it.

    Buckets are `step_ms` wide, and number 0 begins at `from_ms`.
    """
    start = 0
    while start < len(times):
        number = (times[start] - from_ms) // step_ms
        end = bisect_left(times, from_ms + (number + 1) * step_ms, start)
        yield number, start, end
        start = end


def summarize(
    times: Sequence[int],
    values: Sequence[float],
    known: Known,
    buckets: Iterable[tuple[int, int, int]],
) -> Iterator[tuple[int, Summary]]:
    """Summarize the values of one series by `buckets` (`bounds`)."""
    before_ms: int | None = None
    increases: Sequence[float] = ()
    if known.is_counter:
        # A value that came after newer ones adds nothing: their increase has it already.
        is_after = known.last_ms is not None and known.last_ms < times[0]
        before_ms, before = (known.last_ms, known.last) if is_after else (times[0], values[0])
        increases = [_increase(a, b) for a, b in pairwise([before or 0.0, *values])]
        if known.last_ms is not None and not is_after:
            increases = [
                increase if at > known.last_ms else 0.0
                for at, increase in zip(times, increases, strict=True)
            ]
    for bucket, start, end in buckets:
        part = values[start:end]
        span = 0 if before_ms is None else times[end - 1] - before_ms
        if before_ms is not None:
            before_ms = times[end - 1]
        yield (
            bucket,
            (
                end - start,
                span,
                decimal(fsum(part)),
                min(part),
                max(part),
                decimal(fsum(increases[start:end])),
            ),
        )


def _increase(before: float, value: float) -> float:
    # Less than before: the counter began again at zero.
    return value - before if value >= before else value


def decimal(number: float) -> float:
    """Return the number with few decimals that a sum of such numbers stands for, or the same one."""
    rounded = round(number, _DECIMALS)
    return rounded if abs(rounded - number) <= _NOISE * abs(number) else number


def merged(one: Summary, other: Summary) -> Summary:
    """Return the summary of the values of both."""
    return (
        one[0] + other[0],
        one[1] + other[1],
        decimal(one[2] + other[2]),
        min(one[3], other[3]),
        max(one[4], other[4]),
        decimal(one[5] + other[5]),
    )


# Sealing.


def seal_polls(
    connection: sqlite3.Connection, layouts: Layouts, agent: int, before_ms: int
) -> Sealed:
    """Seal the polls of an agent whose times are before `before_ms`."""
    rows = connection.execute(
        "SELECT layout, time_ms, lag_ms, numbers FROM polls WHERE agent = ? AND time_ms < ?"
        " ORDER BY time_ms, id",
        (agent, before_ms),
    ).fetchall()
    known = {
        series: Known(data_type in COUNTERS, last_ms, last)
        for series, data_type, last_ms, last in connection.execute(
            "SELECT id, data_type, last_ms, last FROM series WHERE agent = ?", (agent,)
        )
    }
    size = 0
    # Those of a clock that was ahead are no measure for what comes after them, nor in one block with it.
    ahead = [row for row in rows if row[2] < -AHEAD_MS]
    in_time = [row for row in rows if row[2] >= -AHEAD_MS] if ahead else rows
    for part, before in ((in_time, known), (ahead, {})):
        seen: dict[int, list[tuple[list[int], Sequence[float]]]] = {}
        for layout, group in _by_layout(part):
            series = layouts.series(layout)
            times = [time_ms for _, time_ms, _, _ in group]
            table = array("d", b"".join(numbers for *_, numbers in group))
            columns = [table[place :: len(series)] for place in range(len(series))]
            lags = encode_integers([lag_ms for _, _, lag_ms, _ in group])
            size += _write(connection, (agent, RAW, layout), times, lags, map(encode, columns))
            for each, column in zip(series, columns, strict=True):
                seen.setdefault(each, []).append((times, column))
        _roll_up(connection, layouts, agent, seen, before)
    # Who follows the polls from before this one has missed some.
    connection.execute(
        "INSERT INTO facts SELECT ?1, max(id) FROM polls WHERE agent = ?2 AND time_ms < ?3 HAVING max(id) > 0"
        " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        (f"sealed_{agent}", agent, before_ms),
    )
    connection.execute("DELETE FROM polls WHERE agent = ? AND time_ms < ?", (agent, before_ms))
    return Sealed(len(rows), size)


def _roll_up(
    connection: sqlite3.Connection,
    layouts: Layouts,
    agent: int,
    seen: dict[int, list[tuple[list[int], Sequence[float]]]],
    known: dict[int, Known],
) -> None:
    """Add the values of polls to the minutes, and keep the newest of each series that is `known`."""
    buckets: dict[int, dict[int, Summary]] = {}
    cut: dict[int, list[tuple[int, int, int]]] = {}  # by the identity of a list of times
    newest = []
    for series, runs in seen.items():
        times, values = runs[0] if len(runs) == 1 else in_order(runs)
        if id(times) not in cut or len(runs) > 1:
            cut[id(times)] = list(bounds(times, STEP_MS[MINUTE]))
        was = known.get(series, _UNKNOWN)
        for number, summary in summarize(times, values, was, cut[id(times)]):
            buckets.setdefault(number * STEP_MS[MINUTE], {})[series] = summary
        if series in known and (was.last_ms is None or times[-1] > was.last_ms):
            newest.append((times[-1], values[-1], series))
    connection.executemany("UPDATE series SET last_ms = ?, last = ? WHERE id = ?", newest)
    add_buckets(connection, layouts, agent, MINUTE, buckets)


def in_order(
    runs: Iterable[tuple[Sequence[int], Sequence[float]]],
) -> tuple[list[int], list[float]]:
    """Return the times and values of several runs as one, by time."""
    both = sorted(
        (pair for times, values in runs for pair in zip(times, values, strict=True)),
        key=itemgetter(0),
    )
    return [at for at, _ in both], [value for _, value in both]


def add_buckets(
    connection: sqlite3.Connection,
    layouts: Layouts,
    agent: int,
    tier: int,
    buckets: dict[int, dict[int, Summary]],
) -> None:
    """Add summaries, by bucket and series, to the rows of a tier."""
    for time_ms, by_series in buckets.items():
        series = sorted(by_series)
        place = (agent, tier, time_ms, layouts.find_or_create(series))
        found = connection.execute(
            "SELECT numbers FROM buckets WHERE agent = ? AND tier = ? AND time_ms = ? AND layout = ?",
            place,
        ).fetchone()
        if found:
            old = bucket_numbers(found[0])
            for number, each in enumerate(series):
                by_series[each] = merged(summary_at(old, number), by_series[each])
        numbers = array("d", [part for each in series for part in by_series[each]])
        connection.execute(
            "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?, ?)",
            (*place, zlib.compress(numbers.tobytes(), 1)),
        )


def seal_buckets(
    connection: sqlite3.Connection, layouts: Layouts, agent: int, tier: int, before_ms: int
) -> Sealed:
    """Seal the minutes, or hours, of an agent before `before_ms`, which is on the border of a bucket above."""
    rows = connection.execute(
        "SELECT layout, time_ms, numbers FROM buckets WHERE agent = ? AND tier = ? AND time_ms < ?"
        " ORDER BY time_ms",
        (agent, tier, before_ms),
    ).fetchall()
    size = 0
    above: dict[int, dict[int, Summary]] = {}
    for layout, group in _by_layout(rows):
        series = layouts.series(layout)
        times = [time_ms for _, time_ms, _ in group]
        table = array("d")
        for _, _, packed in group:
            table.extend(bucket_numbers(packed))
        width = len(series) * _PARTS
        columns = [table[place::width] for place in range(width)]
        size += _write(connection, (agent, tier, layout), times, b"", map(encode, columns))
        if tier == HOUR:
            continue
        for bucket, start, end in bounds(times, STEP_MS[tier + 1]):
            into = above.setdefault(bucket * STEP_MS[tier + 1], {})
            for number, each in enumerate(series):
                parts = columns[number * _PARTS : (number + 1) * _PARTS]
                summary = summary_of(parts, start, end)
                into[each] = merged(into[each], summary) if each in into else summary
    add_buckets(connection, layouts, agent, tier + 1, above)
    connection.execute(
        "DELETE FROM buckets WHERE agent = ? AND tier = ? AND time_ms < ?", (agent, tier, before_ms)
    )
    return Sealed(len(rows), size)


def summary_of(parts: Sequence[Sequence[float]], start: int, end: int) -> Summary:
    """Return the summary of some rows of minutes or hours, of which `parts` are the six columns."""
    counts, spans, sums, least, greatest, increases = (part[start:end] for part in parts)
    return (
        sum(counts),
        sum(spans),
        decimal(fsum(sums)),
        min(least),
        max(greatest),
        decimal(fsum(increases)),
    )


def _by_layout(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[int, list[tuple[Any, ...]]]]:
    groups: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    return groups.items()


def _write(
    connection: sqlite3.Connection,
    owner: tuple[int, int, int],
    times: Sequence[int],
    lags: bytes,
    columns: Iterable[bytes],
) -> int:
    packed_times, packed = encode_integers(times), pack(list(columns))
    size = len(packed_times) + len(lags) + len(packed)
    connection.execute(
        "INSERT INTO blocks (agent, tier, layout, first_ms, last_ms, rows, size, times, lags, columns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*owner, times[0], times[-1], len(times), size, packed_times, lags, packed),
    )
    return size

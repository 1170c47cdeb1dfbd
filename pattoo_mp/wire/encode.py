"""Encodes polls as the body of one post. No I/O. The static text of layouts is cached.

The body's pairs (`[key, value]`) are numbered, and each datapoint is a list of those numbers:

    {"pattoo_agent_timestamp": ms, "pattoo_agent_id": "…", "pattoo_agent_polling_interval": ms,
     "pattoo_datapoints": {"key_value_pairs": {"0": ["release", "6.1"], …},
                           "datapoint_pairs": [[0, 1, 2, …], …]}}

A pair's number is repeated in each datapoint that uses it, so the most used pairs get the shortest
numbers. A value or a time that several datapoints of a post share is one pair.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import astuple
from functools import lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Origin
from pattoo_mp.wire.checksum import origin_pairs, series_checksum
from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.model import Layout, Poll, Series, Value

#: A post has few layouts, and they are the same from post to post. On a host that changes all the
#: time, old ones must not fill the memory.
_TEMPLATES: Final = 4

#: Two-digit numbers reserved for times, since each time appears in all datapoints of its poll. They
#: are enough for a post at 10 Hz; a post of a backlog holds more polls, and its later times get
#: longer ones.
_TIMES: Final = range(10, 30)


def encode(layouts: Mapping[str, Layout], polls: Sequence[Poll], envelope_ms: int) -> bytes:
    """Return the body of one post that holds `polls`.

    `layouts` has each poll's layout by identifier; all are of one agent. The interval on the
    envelope, which the server does not read, is that of the first poll. `envelope_ms` must be
    greater than in any earlier post of the agent: the server names its files by it. Values that
    would break the server are left out. Raises `WireError` for a poll that does not fit its layout.
    """
    used = tuple(dict.fromkeys(poll.layout_id for poll in polls))
    template = _template(tuple(layouts[identifier] for identifier in used))
    pairs = _Pairs(template.numbered)
    rows: list[str] = []
    for poll in polls:
        rows += template.rows[poll.layout_id].fill(poll, pairs)
    first = layouts[polls[0].layout_id]
    return (
        f'{{"pattoo_agent_timestamp": {envelope_ms}, '
        f'"pattoo_agent_id": {json.dumps(first.origin.agent_id)}, '
        f'"pattoo_agent_polling_interval": {first.interval_ms}, '
        f'"pattoo_datapoints": {{"key_value_pairs": {{{pairs.text(template.text)}}}, '
        f'"datapoint_pairs": [{",".join(rows)}]}}}}'
    ).encode()


class _Pairs:
    """The pairs of one post that change from poll to poll. `numbered` counts its other pairs."""

    def __init__(self, numbered: int) -> None:
        self._first = max(numbered + len(_TIMES), _TIMES.stop)
        self._times: dict[str, int] = {}
        #: Values, and times after the short numbers ran out.
        self._later: dict[str, int] = {}

    def time_number(self, timestamp_ms: int) -> int:
        """Return the number of a time's pair."""
        pair = f'["pattoo_timestamp",{timestamp_ms}]'
        if pair not in self._times and len(self._times) == len(_TIMES):
            return self._later.setdefault(pair, self._first + len(self._later))
        return self._times.setdefault(pair, _TIMES.start + len(self._times))

    def value_numbers(self, values: Sequence[Value]) -> list[int | None]:
        """Return the number of each value's pair, or None for a value that would break the server."""
        known, first = self._later, self._first
        found: list[int | None] = []
        for value in values:
            if sendable(value):
                pair = f'["pattoo_value",{value!r}]'
                found.append(known.setdefault(pair, first + len(known)))
            else:
                found.append(None)
        return found

    def text(self, others: str) -> str:
        """Return all pairs as text, after the text of the static ones."""
        return ",".join(filter(None, (others, _text(self._times), _text(self._later))))


class _Rows:
    """The datapoints of one layout as text, with placeholders for the time and the values."""

    def __init__(self, rows: Sequence[Sequence[int]], numbers: Mapping[int, int]) -> None:
        self._rows = [f"[{','.join(str(numbers[pair]) for pair in row)},T,%d]" for row in rows]
        self._whole = ",".join(self._rows)

    def fill(self, poll: Poll, pairs: _Pairs) -> list[str]:
        """Return the poll's datapoints, as one joined text if none is left out, which is quicker."""
        values = poll.values()
        if len(values) != len(self._rows):
            raise WireError(
                f"a poll of {len(values)} values for a layout of {len(self._rows)} series"
            )
        time = str(pairs.time_number(poll.timestamp_ms))
        numbers = pairs.value_numbers(values)
        if None not in numbers and numbers:
            return [self._whole.replace("T", time) % tuple(numbers)]
        kept = zip(self._rows, numbers, strict=True)
        return [row.replace("T", time) % number for row, number in kept if number is not None]


class _Template:
    """The static part of a post: its rows, and its pairs as text."""

    def __init__(self, layouts: tuple[Layout, ...]) -> None:
        pairs: dict[str, int] = {}
        rows = {layout.identifier: _rows(layout, pairs) for layout in layouts}
        uses = Counter(chain.from_iterable(chain.from_iterable(rows.values())))
        most_used = [pair for pair, _ in uses.most_common()]
        numbers = dict(zip(most_used, _numbers(), strict=False))
        self.rows = {identifier: _Rows(some, numbers) for identifier, some in rows.items()}
        texts = list(pairs)
        self.text = _text({texts[pair]: number for pair, number in numbers.items()})
        self.numbered = len(numbers)


@lru_cache(maxsize=_TEMPLATES)
def _template(layouts: tuple[Layout, ...]) -> _Template:
    return _Template(layouts)


def _rows(layout: Layout, pairs: dict[str, int]) -> list[list[int]]:
    """Return, for each series, the indexes of its pairs in `pairs`. Missing pairs are added."""

    def indexes(some: Iterable[tuple[str, str | int]]) -> list[int]:
        return [pairs.setdefault(_pair(*pair), len(pairs)) for pair in some]

    # The checksum is of what is sent, and a host's name, too, may hold bytes that are not UTF-8.
    origin = Origin(*map(safe_text, astuple(layout.origin)))
    shared = indexes(
        [*origin_pairs(origin), ("pattoo_agent_polling_interval", str(layout.interval_ms))]
    )
    return [shared + indexes(_own(origin, series)) for series in layout.series]


def _own(origin: Origin, series: Series) -> list[tuple[str, str | int]]:
    """Return the pairs of a series that not all series share."""
    # The server stores program and key in one column.
    room = TEXT_BYTES - len(f"{origin.program}_".encode())
    key = safe_text(series.key.lower().strip(), room)
    metadata = normalise(series.metadata)
    checksum = series_checksum(key, series.data_type, metadata, origin)
    return [
        *metadata,
        ("pattoo_data_type", series.data_type),
        ("pattoo_key", key),
        ("pattoo_checksum", checksum),
    ]


def _numbers() -> Iterator[int]:
    """Yield numbers for all pairs except times, the shortest first."""
    return chain(range(_TIMES.start), count(_TIMES.stop))


def _text(numbers: Mapping[str, int]) -> str:
    return ",".join(f'"{number}":{pair}' for pair, number in numbers.items())


def _pair(key: str, value: str | int) -> str:
    return json.dumps([key, value], separators=(",", ":"))

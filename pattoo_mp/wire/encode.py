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
import marshal
import zlib
from collections import Counter
from dataclasses import astuple
from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import WireError
from pattoo_mp.model import Origin
from pattoo_mp.util.recent import Recent
from pattoo_mp.wire.checksum import origin_pairs, series_checksum
from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.model import Layout, Poll, Series, Value

#: A post has few layouts, and they are the same from post to post. On a host that changes all the
#: time, old ones must not fill the memory.
_TEMPLATES: Final = 4
#: A hub has a layout for each spoke, all of which come again in turn. Making a template takes 4 ms,
#: unpacking one a tenth of that. One of 95 series has 5 kB.
_OF_SPOKES: Final = 20_000

#: The ten pairs of every datapoint. Metadata of such a name, which only a hostile spoke has, is left out: a server
#: refuses a post with two pairs of it.
_OF_EVERY_POINT: Final = frozenset({
    "pattoo_agent_hostname", "pattoo_agent_id", "pattoo_agent_polled_target", "pattoo_agent_polling_interval",
    "pattoo_agent_program", "pattoo_checksum", "pattoo_data_type", "pattoo_key", "pattoo_timestamp", "pattoo_value",
})  # fmt: skip

#: Fewer parts than this are numbered anew, by use; so a post depends on nothing but its polls.
_MANY_PARTS: Final = 4
#: The share of the parts that a template must have in common with the one before it to follow it.
_KEPT_SHARE: Final = 0.5

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
    used = dict.fromkeys(poll.layout_id for poll in polls)
    parts = chain.from_iterable(layouts[identifier].undivided for identifier in used)
    template = _template(tuple(dict.fromkeys(parts)))
    pairs = _Pairs(template.first_free)
    rows: list[str] = []
    for poll in polls:
        rows += _filled(poll, layouts[poll.layout_id], template, pairs)
    first = layouts[polls[0].layout_id]
    return (
        f'{{"pattoo_agent_timestamp": {envelope_ms}, '
        f'"pattoo_agent_id": {json.dumps(first.origin.agent_id)}, '
        f'"pattoo_agent_polling_interval": {first.interval_ms}, '
        f'"pattoo_datapoints": {{"key_value_pairs": {{{pairs.text(template.text)}}}, '
        f'"datapoint_pairs": [{",".join(rows)}]}}}}'
    ).encode()


def _filled(poll: Poll, layout: Layout, template: _Template, pairs: _Pairs) -> list[str]:
    """Return the poll's datapoints. Raises `WireError` for a poll that does not fit its layout."""
    values, later_ms = poll.timed()
    if len(values) != len(layout.series):
        raise WireError(
            f"a poll of {len(values)} values for a layout of {len(layout.series)} series"
        )
    if later_ms is None:
        return _rows_at(poll.timestamp_ms, values, layout, template, pairs)
    rows: list[str] = []
    for later in dict.fromkeys(later_ms):
        own = [v if ms == later else None for v, ms in zip(values, later_ms, strict=True)]
        rows += _rows_at(poll.timestamp_ms + later, own, layout, template, pairs)
    return rows


def _rows_at(
    timestamp_ms: int, values: Sequence[Value], layout: Layout, template: _Template, pairs: _Pairs
) -> list[str]:
    """Return the datapoints of values of one time."""
    time = str(pairs.time_number(timestamp_ms))
    rows: list[str] = []
    begin = 0
    for part in layout.undivided:
        end = begin + len(part.series)
        rows += template.rows[part.identifier].fill(time, pairs.value_numbers(values[begin:end]))
        begin = end
    return rows


class _Pairs:
    """The pairs of one post that change from poll to poll, numbered from `first` on."""

    def __init__(self, first: int) -> None:
        self._first = first
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
    """The datapoints of a layout or a part as text, with placeholders for the time and the values.

    Each of `texts` has the numbers of the static pairs of one datapoint.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self._rows = [f"[{text},T,%d]" for text in texts]
        self._whole = ",".join(self._rows)

    @cached_property
    def numbers(self) -> frozenset[int]:
        """The numbers of its static pairs."""
        return frozenset(int(number) for text in self.texts for number in text.split(","))

    def fill(self, time: str, numbers: Sequence[int | None]) -> list[str]:
        """Return the datapoints, as one joined text if none is left out, which is quicker."""
        if None not in numbers and numbers:
            return [self._whole.replace("T", time) % tuple(numbers)]
        kept = zip(self._rows, numbers, strict=True)
        return [row.replace("T", time) % number for row, number in kept if number is not None]


class _Template:
    """The static part of a post: the rows of each part, and its pairs as text.

    If most parts were in the template `before`, they keep their numbers and their text, so that
    a change costs what has changed. Other pairs get the numbers that are free.
    """

    def __init__(self, parts: Sequence[Layout], before: _Template | None = None) -> None:
        self.rows: dict[str, _Rows] = {}
        #: The text of each pair, by its number.
        self.pairs: dict[int, str] = {}
        if before is not None:
            self._keep(before, parts)
        self._add([part for part in parts if part.identifier not in self.rows])
        self._number()

    def packed(self, identifier: str) -> bytes:
        """Return the template of one layout as bytes; `of_packed` reads them."""
        content = (self.rows[identifier].texts, list(self.pairs.items()))
        return zlib.compress(marshal.dumps(content), 1)

    @classmethod
    def of_packed(cls, identifier: str, packed: bytes) -> _Template:
        """Return a template of what `packed` returned."""
        rows, pairs = marshal.loads(zlib.decompress(packed))  # noqa: S302 - made by this process
        template = cls(())
        template.rows[identifier] = _Rows(rows)
        template.pairs = dict(pairs)
        template._number()
        return template

    def _number(self) -> None:
        self.text = ",".join(f'"{number}":{pair}' for number, pair in self.pairs.items())
        self.first_free = max(max(self.pairs, default=0) + 1, _TIMES.stop)

    def _keep(self, before: _Template, parts: Sequence[Layout]) -> None:
        old = before.rows
        kept = {p.identifier: old[p.identifier] for p in parts if p.identifier in old}
        if len(kept) < len(parts) * _KEPT_SHARE:
            return
        self.rows = kept
        used: set[int] = set().union(*(rows.numbers for rows in kept.values()))
        self.pairs = {number: text for number, text in before.pairs.items() if number in used}

    def _add(self, parts: Sequence[Layout]) -> None:
        numbers = {text: number for number, text in self.pairs.items()}
        pairs: dict[str, int] = {}
        rows = {part.identifier: _rows(part, pairs) for part in parts}
        uses = Counter(chain.from_iterable(chain.from_iterable(rows.values())))
        texts = list(pairs)
        free = (number for number in _numbers() if number not in self.pairs)
        number_of = {}
        for pair, _ in uses.most_common():
            known = numbers.get(texts[pair])
            number_of[pair] = next(free) if known is None else known
        self.pairs |= {number: texts[pair] for pair, number in number_of.items()}
        for identifier, some in rows.items():
            texts_of = [",".join(str(number_of[pair]) for pair in row) for row in some]
            self.rows[identifier] = _Rows(texts_of)


_templates: Recent[tuple[Layout, ...], _Template] = Recent(_TEMPLATES)
_of_spokes: Recent[str, bytes] = Recent(_OF_SPOKES)


def _template(parts: tuple[Layout, ...]) -> _Template:
    """Return the template of these parts."""
    if len(parts) == 1 and parts[0].compressed:
        identifier = parts[0].identifier
        packed = _of_spokes.get(identifier, lambda: _Template(parts).packed(identifier))
        return _Template.of_packed(identifier, packed)

    def make() -> _Template:
        return _Template(parts, _templates.newest if len(parts) >= _MANY_PARTS else None)

    return _templates.get(parts, make)


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
    metadata = tuple(pair for pair in normalise(series.metadata) if pair[0] not in _OF_EVERY_POINT)
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

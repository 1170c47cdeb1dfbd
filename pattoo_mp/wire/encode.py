"""Polls to the body of one post: pure, and static text worked out once for each set of layouts.

The body's pairs (`[key, value]`) are numbered, and each datapoint is a list of those numbers:

    {"pattoo_agent_timestamp": ms, "pattoo_agent_id": "…", "pattoo_agent_polling_interval": ms,
     "pattoo_datapoints": {"key_value_pairs": {"0": ["release", "6.1"], …},
                           "datapoint_pairs": [[0, 1, 2, …], …]}}

The static pairs come first, so that they have the short numbers; a value or a time that several
datapoints of a post share is one pair.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from pattoo_mp.errors import WireError
from pattoo_mp.model import Origin
from pattoo_mp.wire.checksum import origin_pairs, series_checksum
from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pattoo_mp.model import Layout, Poll, Series, Value

#: A post's layouts are few and the same from post to post; a host that changes all the time
#: must not fill the memory with those of yesterday.
_TEMPLATES = 4


def encode(layouts: Mapping[str, Layout], polls: Sequence[Poll], envelope_ms: int) -> bytes:
    """Return the body of one post that holds `polls`.

    `layouts` has each poll's layout by its identifier; all are of one agent, and the first
    poll's interval is the envelope's, which the server does not read. `envelope_ms` must be unique and greater than that of
    the agent's last post: the server names its files by it. Values that no server survives are
    left out. Raises `WireError` for a poll that does not fit its layout.
    """
    used = tuple(dict.fromkeys(poll.layout_id for poll in polls))
    template = _template(tuple(layouts[identifier] for identifier in used))
    pairs = template.pairs.copy()
    rows: list[str] = []
    for poll in polls:
        rows += template.rows[poll.layout_id].fill(poll, pairs)
    first = layouts[polls[0].layout_id]
    return (
        f'{{"pattoo_agent_timestamp": {envelope_ms}, '
        f'"pattoo_agent_id": {json.dumps(first.origin.agent_id)}, '
        f'"pattoo_agent_polling_interval": {first.interval_ms}, '
        f'"pattoo_datapoints": {{"key_value_pairs": {{{pairs.text()}}}, '
        f'"datapoint_pairs": [{",".join(rows)}]}}}}'
    ).encode()


class _Pairs:
    """The numbered pairs of one post; a pair given again keeps its first number."""

    def __init__(self, numbers: Mapping[str, int] = MappingProxyType({}), text: str = "") -> None:
        self._numbers = dict(numbers)
        #: What was numbered from the beginning, as text already.
        self._given, self._given_text = len(numbers), text

    def copy(self) -> _Pairs:
        """Pairs that begin with these."""
        return _Pairs(self._numbers, self._given_text)

    def number(self, pair: str) -> int:
        return self._numbers.setdefault(pair, len(self._numbers))

    def value_numbers(self, values: Sequence[Value]) -> list[int | None]:
        """The number of each value's pair; None for one that the server would not survive."""
        known = self._numbers
        found: list[int | None] = []
        for value in values:
            if sendable(value):
                pair = f'["pattoo_value",{value!r}]'
                found.append(known.setdefault(pair, len(known)))
            else:
                found.append(None)
        return found

    def text(self) -> str:
        later = islice(self._numbers.items(), self._given, None)
        texts = [f'"{number}":{pair}' for pair, number in later]
        return ",".join([self._given_text, *texts] if self._given_text else texts)

    def fixed(self) -> _Pairs:
        """The same, with the text of all of them worked out."""
        return _Pairs(self._numbers, self.text())


class _Rows:
    """The datapoints of one layout as text, with places for the time and the values."""

    def __init__(self, layout: Layout, pairs: _Pairs) -> None:
        # The checksums are of what is sent: a host's name, too, may hold bytes that are not UTF-8.
        origin = Origin(*map(safe_text, astuple(layout.origin)))
        common = [
            *origin_pairs(origin),
            ("pattoo_agent_polling_interval", str(layout.interval_ms)),
        ]
        shared = [pairs.number(_pair(key, value)) for key, value in common]
        self._rows = [_row(origin, series, shared, pairs) for series in layout.series]
        self._whole = ",".join(self._rows)

    def fill(self, poll: Poll, pairs: _Pairs) -> list[str]:
        """Return the poll's datapoints, joined where that is quicker."""
        values = poll.values()
        if len(values) != len(self._rows):
            raise WireError(
                f"a poll of {len(values)} values for a layout of {len(self._rows)} series"
            )
        time = str(pairs.number(f'["pattoo_timestamp",{poll.timestamp_ms}]'))
        numbers = pairs.value_numbers(values)
        if None not in numbers and numbers:
            return [self._whole.replace("T", time) % tuple(numbers)]
        kept = zip(self._rows, numbers, strict=True)
        return [row.replace("T", time) % number for row, number in kept if number is not None]


class _Template:
    """All of a post that does not change from poll to poll."""

    def __init__(self, layouts: tuple[Layout, ...]) -> None:
        pairs = _Pairs()
        self.rows = {layout.identifier: _Rows(layout, pairs) for layout in layouts}
        self.pairs = pairs.fixed()


@lru_cache(maxsize=_TEMPLATES)
def _template(layouts: tuple[Layout, ...]) -> _Template:
    return _Template(layouts)


def _row(origin: Origin, series: Series, shared: list[int], pairs: _Pairs) -> str:
    # The server stores program and key in one column.
    room = TEXT_BYTES - len(f"{origin.program}_".encode())
    key = safe_text(series.key.lower().strip(), room)
    metadata = normalise(series.metadata)
    checksum = series_checksum(key, series.data_type, metadata, origin)
    numbers = [pairs.number(_pair(name, value)) for name, value in metadata]
    numbers += shared
    numbers.append(pairs.number(_pair("pattoo_data_type", series.data_type)))
    numbers.append(pairs.number(_pair("pattoo_key", key)))
    numbers.append(pairs.number(_pair("pattoo_checksum", checksum)))
    return f"[{','.join(map(str, numbers))},T,%d]"


def _pair(key: str, value: str | int) -> str:
    return json.dumps([key, value], separators=(",", ":"))

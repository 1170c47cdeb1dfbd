"""The page of an original spoke: `GET /pattoo-agent-os/<interval>`, which is a post of the agent there.

It is checked as a receiver checks posts. What is wrong with the whole refuses it; a datapoint that is wrong is
left out and counted. So nothing that a page says can stop the ingest of a server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.collect.spokes import taken
from pattoo_mp.collect.spokes.exchange import shown
from pattoo_mp.collect.spokes.taken import AHEAD_MS, DATA_TYPES, NUMBERS, LeftOut, bad, clock_error
from pattoo_mp.model import Layout, Origin, Poll, Series, group_of, pack_values
from pattoo_mp.util import json_text
from pattoo_mp.util.lean_imports import blake2b
from pattoo_mp.util.text import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENVELOPE: Final = frozenset({
    "pattoo_agent_timestamp", "pattoo_agent_id", "pattoo_agent_polling_interval", "pattoo_datapoints",
})  # fmt: skip
_POINTS: Final = frozenset({"key_value_pairs", "datapoint_pairs"})
_HOST: Final = ("pattoo_agent_hostname", "pattoo_agent_program", "pattoo_agent_polled_target")
#: The ten pairs of every datapoint; all others are metadata.
_OWN: Final = frozenset({
    "pattoo_agent_polling_interval", "pattoo_agent_id", "pattoo_key", "pattoo_data_type", "pattoo_value",
    "pattoo_timestamp", "pattoo_checksum", *_HOST,
})  # fmt: skip
#: A pair of a datapoint: its key, its value, and whether it is one of the ten. Metadata that is no text has None.
_Pair = tuple[str, Any, bool]
_DEPTH: Final = 8
_MOST_POINTS: Final = 100_000
_MOST_PAIRS: Final = 250
#: An original gives each value its own time: a few in a page. More would make work without end.
_MOST_TIMES: Final = 64
#: A page that is older than this (ms) is from a clock that was never set.
_BEHIND_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Page:
    """What a page holds: a poll, its layout unless that is the one of `digest`, and what was left out."""

    origin: Origin
    interval_ms: int
    poll: Poll
    layout: Layout | None
    digest: bytes
    left_out: LeftOut

    @property
    def group(self) -> str:
        """The name of its group."""
        return group_of(self.origin.agent_id, self.interval_ms)


def read(body: bytes, now_ms: int, known: tuple[bytes, str] = (b"", "")) -> Page:
    """Return the content of a page, at a time of this host's clock (ms since the epoch).

    `known` is the digest of the last page of the spoke, and the identifier of its layout. Raises `AskError`
    for what is no page.
    """
    envelope = _object(body)
    agent = taken.agent_id(envelope["pattoo_agent_id"])
    rows = list(_rows(envelope["pattoo_datapoints"]))
    if not rows:
        raise bad("its page has no datapoints")
    left_out = LeftOut()
    points = _Points(agent, now_ms, left_out)
    for row in rows:
        points.add(row)
    if not points.values:
        raise bad(f"no datapoint of its page can be used: {left_out.why}")
    return points.page(known)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json_text.parse(body, _DEPTH, lambda _: None)
    except ValueError as error:
        raise bad(f"its page is not JSON: {shown(str(error))}") from None
    if not isinstance(found, dict) or found.keys() != _ENVELOPE:
        raise bad("its page is no post: it has other keys")
    return found


def _rows(points: object) -> Iterator[list[_Pair] | None]:
    """Yield the pairs of each datapoint, None for what is none. Pairs are checked once, as most are shared."""
    if not isinstance(points, dict) or points.keys() != _POINTS:
        raise bad("its page is no post: pattoo_datapoints has other keys")
    given, rows = points["key_value_pairs"], points["datapoint_pairs"]
    if not isinstance(given, dict) or not isinstance(rows, list):
        raise bad("its page is no post: pattoo_datapoints has other types")
    if len(rows) > _MOST_POINTS:
        many = counted(len(rows), "datapoint")
        raise bad(f"its page has {many}; expected at most {_MOST_POINTS}")
    pairs = {
        int(name): _pair(*pair)
        for name, pair in given.items()
        if name.isdecimal() and len(name) < 10 and _is_pair(pair)
    }
    for row in rows:
        is_row = isinstance(row, list) and len(row) <= _MOST_PAIRS
        if not is_row or not set(map(type, row)) <= {int}:
            yield None
            continue
        try:
            yield [pairs[number] for number in row]
        except KeyError:
            yield None


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)


def _pair(key: str, value: object) -> _Pair:
    if key in _OWN:
        return key, value, True
    if taken.text(key) is None or taken.text(value) is None:
        return key, None, False
    return key, value, False


class _Points:
    """The datapoints of a page that may be believed. The first one says whose they are."""

    def __init__(self, agent: str, now_ms: int, left_out: LeftOut) -> None:
        self._agent = agent
        self._now_ms = now_ms
        self._left_out = left_out
        self._of: tuple[str, ...] = ()
        self._checked: tuple[tuple[str, ...], str] | None = None
        self._interval_ms = 0
        self._series: dict[tuple[str, int, tuple[tuple[str, str], ...]], None] = {}
        self._times: list[int] = []
        self._layout_bytes = 0
        self.values: list[int | float] = []

    def add(self, row: list[_Pair] | None) -> None:
        """Take a datapoint, or count why not."""
        why = "are no datapoints" if row is None else self._add(row)
        if why:
            self._left_out.note(why)

    def _add(self, row: list[_Pair]) -> str:
        # Of a pair that comes twice, the first one counts.
        own = {key: value for key, value, is_own in reversed(row) if is_own}
        metadata = tuple((key, value) for key, value, is_own in row if not is_own)
        self._layout_bytes += taken.written_out(metadata)
        if self._layout_bytes > taken.LAYOUT_BYTES:
            raise taken.too_large()
        if any(value is None for _, value in metadata):
            return "have metadata that is no text"
        if len(own) < len(_OWN):
            return f"lack {min(_OWN - own.keys())}"
        return self._check(own) or self._keep(own, metadata)

    def _check(self, own: Mapping[str, Any]) -> str:
        """Return why a datapoint cannot be used; empty if it can."""
        key, data_type, time_ms = (
            own["pattoo_key"],
            own["pattoo_data_type"],
            own["pattoo_timestamp"],
        )
        if own["pattoo_agent_id"] != self._agent:
            return "are of another agent"
        if not key or taken.text(key) is None or not isinstance(data_type, int):
            return "have a bad key or type"
        if data_type not in DATA_TYPES:
            return "have an unknown type"
        if data_type not in NUMBERS:
            return "are text, which a server does not keep"
        if type(time_ms) is not int or not 0 <= time_ms < taken.TIME_LIMIT:
            return "have a bad time"
        return self._check_origin(own)

    def _check_origin(self, own: Mapping[str, Any]) -> str:
        interval = own["pattoo_agent_polling_interval"]
        of = tuple(own[name] for name in _HOST)
        if (of, interval) == self._checked:
            return ""
        interval_ms = int(interval) if _is_digits(interval) else 0
        if taken.interval_ms(interval_ms) is None:
            return "have a bad interval"
        if not all(one and taken.text(one) is not None for one in of):
            return "have no name of a host or a program"
        if not self._of:
            self._of, self._interval_ms = of, interval_ms
            self._checked = of, interval
        if self._of != of:
            return "are of another host"
        return "" if self._interval_ms == interval_ms else "have another interval"

    def _keep(self, own: Mapping[str, Any], metadata: tuple[tuple[str, str], ...]) -> str:
        value = taken.number(own["pattoo_value"])
        if value is None:
            return "have a value that is no number, or too large"
        series = own["pattoo_key"], own["pattoo_data_type"], metadata
        if series in self._series:
            return "come twice"
        time_ms = own["pattoo_timestamp"]
        if self._times and abs(time_ms - self._times[0]) > max(self._interval_ms, 60_000):
            return "have a time far from the others"
        self._series[series] = None
        self._layout_bytes += len(own["pattoo_key"])
        self._times.append(time_ms)
        self.values.append(value)
        return ""

    def page(self, known: tuple[bytes, str]) -> Page:
        """Return the page. Raises `AskError` if its time is impossible."""
        first, newest = min(self._times), max(self._times)
        if newest > self._now_ms + AHEAD_MS:
            raise clock_error(newest - self._now_ms)
        if first < self._now_ms - _BEHIND_MS:
            behind = duration((self._now_ms - first) / 1000)
            raise bad(f"its clock is {behind} behind this host's, or its page is old")
        later: list[int] | None = [time_ms - first for time_ms in self._times]
        if newest == first or len(set(self._times)) > _MOST_TIMES:
            later = None
        hostname, program, target = self._of
        origin = Origin(self._agent, hostname, program, "" if target == hostname else target)
        content = json.dumps([self._agent, self._of, self._interval_ms, list(self._series)])
        digest = blake2b(content.encode(), digest_size=16).digest()
        layout = None
        if digest != known[0]:
            series = tuple(Series(*one) for one in self._series)
            layout = Layout(origin, self._interval_ms, series, (), compressed=True)
        identifier = known[1] if layout is None else layout.identifier
        group = group_of(self._agent, self._interval_ms)
        poll = Poll(identifier, first, pack_values(self.values, later), group)
        return Page(origin, self._interval_ms, poll, layout, digest, self._left_out)


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19

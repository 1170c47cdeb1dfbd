"""The answer of an agent of ours to a fetch: `GET /pattoo-mp/1/polls` (docs/pull.md). No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from pattoo_mp.collect.spokes import taken
from pattoo_mp.collect.spokes.exchange import shown
from pattoo_mp.collect.spokes.taken import AHEAD_MS, DATA_TYPES, LeftOut, bad, clock_error
from pattoo_mp.model import Layout, Origin, Poll, Series, group_of, pack_values
from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEPTH: Final = 10
_LATEST: Final = 1
#: The limits of the interface.
MOST_POLLS: Final = 1000
MOST_KNOWN: Final = 64
_MOST_SERIES: Final = 100_000
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_ACCOUNT: Final = ("polled", "delivered", "waiting", "quarantined")


class LayoutMissingError(Exception):
    """The answer leaves out a layout as known of which only the identifier is known here."""


@dataclass(frozen=True, slots=True)
class Known:
    """A layout of a spoke: its identifier here, how many series it has, and the group of its polls."""

    identifier: str
    series: int
    group: str


@dataclass(slots=True)
class Pulled:
    """What an answer holds, oldest poll first.

    - `polls` are those that may be taken, each with the identifier of its layout at the spoke. `up_to` is the
      number to acknowledge once they are safe; 0 for none.
    - `layouts` are new ones by their identifiers there; `known` has all of those that the polls use.
    - `more`: further polls wait. `early`: why polls are left where they are, if any are.
    """

    agent_id: str = ""
    hostname: str = ""
    polls: list[Poll] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    up_to: int = 0
    more: bool = False
    early: str = ""
    account: tuple[int, ...] = ()
    left_out: LeftOut = field(default_factory=LeftOut)


def read(body: bytes, now_ms: int, known: Mapping[str, Known]) -> Pulled:
    """Return the content of an answer, at a time of this host's clock (ms since the epoch).

    `known` are the layouts that were named as known, by their identifiers at the spoke. Raises `AskError` for
    what is no such answer, and `LayoutMissingError`.
    """
    try:
        content = json_text.parse(body, _DEPTH, lambda _: None)
    except ValueError as error:
        raise bad(f"its answer is not JSON: {shown(str(error))}") from None
    if not isinstance(content, dict) or content.get("version") != _LATEST:
        raise bad("its answer has another version; expected 1")
    found = Pulled()
    _agent(content.get("agent"), found)
    found.account = _account(content.get("account"))
    found.more = content.get("more") is True
    layouts, polls = content.get("layouts"), content.get("polls")
    if not isinstance(layouts, dict) or not isinstance(polls, list) or len(polls) > MOST_POLLS:
        raise bad("its answer has no layouts or polls, or too many")
    reader = _Polls(layouts, known, found, now_ms)
    for poll in polls:
        if not reader.add(poll):
            break
    return found


def _agent(agent: object, found: Pulled) -> None:
    if not isinstance(agent, dict):
        raise bad("its answer does not say who it is")
    found.agent_id = taken.agent_id(agent.get("id"))
    found.hostname = taken.text(agent.get("hostname")) or ""


def _account(account: object) -> tuple[int, ...]:
    """Return what a spoke says of its account, which is only shown; empty if it says nothing."""
    if not isinstance(account, dict):
        return ()
    numbers: list[object] = [account.get(name) for name in _ACCOUNT]
    for counts in (account.get("dropped"), account.get("missed")):
        values = list(counts.values()) if isinstance(counts, dict) else []
        numbers.append(sum(value for value in values if _is_count(value)))
    found = [number for number in numbers if _is_count(number)]
    return tuple(found) if len(found) == len(numbers) else ()


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < taken.TIME_LIMIT


class _Polls:
    """Reads the polls of an answer into `found`."""

    def __init__(
        self, layouts: Mapping[str, Any], known: Mapping[str, Known], found: Pulled, now_ms: int
    ) -> None:
        self._layouts = layouts
        self._known = known
        self._found = found
        self._now_ms = now_ms
        #: How large the layouts are that were read.
        self._layout_bytes = 0

    def add(self, given: object) -> bool:
        """Take a poll, or count why not. Return False if it and those after it are to stay at the spoke."""
        match given:
            case [int(number), int(time_ms), str(name), [*values]] if 0 < number < taken.TIME_LIMIT:
                pass
            case _:
                raise bad("its answer has a poll that is none")
        if number <= self._found.up_to or not 0 <= time_ms < taken.TIME_LIMIT:
            raise bad("its answer has polls out of order, or without a time")
        if time_ms > self._now_ms + AHEAD_MS:
            # They come again, and are taken when their time has come.
            self._found.early = str(clock_error(time_ms - self._now_ms))
            self._found.more = False
            return False
        if self._found.polls and self._layout_bytes > taken.LAYOUT_BYTES:
            self._found.more = True  # so one answer cannot hold the others up
            return False
        layout = self._layout(name)
        if len(values) != layout.series:
            raise bad(f"its answer has a poll of {len(values)} values for {layout.series} series")
        kept = [self._value(value) for value in values]
        self._found.up_to = number
        self._found.polls.append(Poll(layout.identifier, time_ms, pack_values(kept), layout.group))
        return True

    def _value(self, value: object) -> int | float | None:
        if value is None:
            return None
        found = None if isinstance(value, str) else taken.number(value)
        if found is None:
            self._found.left_out.note("have a value that is no number, or too large")
        return found

    def _layout(self, name: str) -> Known:
        if name in self._found.known:
            return self._found.known[name]
        # It goes into the line of the next request.
        if not _IDENTIFIER.fullmatch(name):
            raise bad("its answer has a bad identifier of a layout")
        if name in self._known and name not in self._layouts:
            found = self._known[name]
        else:
            layout = self._read(name)
            self._found.layouts[name] = layout
            group = group_of(layout.origin.agent_id, layout.interval_ms)
            found = Known(layout.identifier, len(layout.series), group)
        self._found.known[name] = found
        return found

    def _read(self, name: str) -> Layout:
        """Return a layout of the answer, a divided one as a whole."""
        content = self._content(name)
        of = [content.get(key) for key in ("agent_id", "hostname", "program", "polled_target")]
        texts = [taken.text(one) or "" for one in of]
        interval_ms = taken.interval_ms(content.get("interval_ms"))
        if interval_ms is None or not all(texts[:3]):
            raise bad("a layout of its answer lacks its origin or its interval")
        hostname, program, target = texts[1:]
        origin = Origin(
            taken.agent_id(of[0]), hostname, program, "" if target == hostname else target
        )
        parts = content.get("parts")
        contents = [content] if parts is None else map(self._content, _names(parts))
        series: list[Series] = []
        layout_bytes = 0
        for part in contents:
            for one in _series(part.get("series")):
                series.append(one)
                layout_bytes += taken.written_out(one.metadata) + len(one.key)
                if layout_bytes > taken.LAYOUT_BYTES or len(series) > _MOST_SERIES:
                    raise taken.too_large()
        self._layout_bytes += layout_bytes
        return Layout(origin, interval_ms, tuple(series), (), compressed=True)

    def _content(self, name: str) -> dict[str, Any]:
        content = self._layouts.get(name)
        if content is None and self._known:
            raise LayoutMissingError
        if not isinstance(content, dict):
            raise bad("its answer lacks the layout of a poll")
        return content


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise bad("a layout of its answer has bad parts")
    return value


def _series(value: object) -> Iterator[Series]:
    if not isinstance(value, list):
        raise bad("a layout of its answer has no series")
    for one in value:
        match one:
            case [str(key), int(data_type), metadata] if key and data_type in DATA_TYPES:
                pairs = taken.pairs(metadata)
                if pairs is not None and taken.text(key) is not None:
                    yield Series(key, data_type, pairs)
                    continue
        raise bad("a layout of its answer has a bad series")

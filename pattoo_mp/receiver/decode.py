"""The body of a post to what it says: pure, no I/O.

A post is `{"pattoo_agent_timestamp": ms, "pattoo_agent_id": "…", "pattoo_agent_polling_interval":
ms, "pattoo_datapoints": {"key_value_pairs": {"0": [key, value], …}, "datapoint_pairs": [[0, …],
…]}}`; a datapoint is a list of the numbers of its pairs.

This receiver is stricter than the pattoo server, because it is there to show to the author of an
agent what would break:

- Refused by both, with the same status: a body that is not JSON or has wrong keys (500), and one
  that is not an object (404).
- Answered with 200 by the pattoo server, which then drops the datapoint, loses the batch or stops
  for every agent; refused here with 500: whatever breaks one of the `rules`, a datapoint without
  one of its ten pairs, numbers of pairs that do not exist, two agents in one post.

Each pair is looked at once, whether a datapoint uses it or not. A post is refused as a whole.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from pattoo_mp.receiver import rules
from pattoo_mp.receiver.post import Datapoint, Post
from pattoo_mp.receiver.refused import NOT_A_POST, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Datapoint", "Post", "Refused", "decode_post"]

T = TypeVar("T")

_ENVELOPE: Final = frozenset(
    {
        "pattoo_agent_timestamp",
        "pattoo_agent_id",
        "pattoo_agent_polling_interval",
        "pattoo_datapoints",
    }
)
_DATAPOINTS: Final = frozenset({"key_value_pairs", "datapoint_pairs"})

#: A pair's key, and its value as the type that the rule for this key returns.
_Pair = tuple[str, Any]


def decode_post(body: bytes, *, sent_to: str | None = None) -> Post:
    """Return what `body` says. Raises `Refused`, and nothing else, with the reason in one line.

    `sent_to` is the agent id of the URL, which must be the one in the body.
    """
    envelope = _parsed(body)
    if not isinstance(envelope, dict):
        raise Refused(f"the body: expected a JSON object, got {shown(envelope)}", NOT_A_POST)
    _only(envelope, _ENVELOPE, "the body")
    agent_id = _field(envelope, "pattoo_agent_id", rules.text)
    if sent_to is not None and agent_id != sent_to:
        raise Refused(f"pattoo_agent_id: {shown(agent_id)}, but the URL says {shown(sent_to)}")
    return Post(
        timestamp_ms=_field(envelope, "pattoo_agent_timestamp", rules.timestamp),
        agent_id=agent_id,
        polling_interval_ms=_field(envelope, "pattoo_agent_polling_interval", rules.interval),
        datapoints=_datapoints(envelope["pattoo_datapoints"], agent_id),
    )


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body, parse_constant=_not_json)
    except RecursionError:
        raise Refused("the body: JSON that is nested too deeply") from None
    except ValueError as error:
        # Bytes that are not UTF-8 and integers of thousands of digits end here as well.
        raise Refused(f"the body: not JSON: {error}") from None


def _not_json(literal: str) -> NoReturn:
    raise Refused(f"the body: not JSON: the literal {literal}")


def _datapoints(raw: object, agent_id: str) -> tuple[Datapoint, ...]:
    if not isinstance(raw, dict):
        raise Refused(f"pattoo_datapoints: expected an object, got {shown(raw)}")
    _only(raw, _DATAPOINTS, "pattoo_datapoints")
    pairs = _pairs(raw["key_value_pairs"])
    rows = raw["datapoint_pairs"]
    if not isinstance(rows, list):
        raise Refused(f"datapoint_pairs: expected a list, got {shown(rows)}")
    return tuple(_row(index, row, pairs, agent_id) for index, row in enumerate(rows))


def _pairs(raw: object) -> dict[str, _Pair]:
    if not isinstance(raw, dict):
        raise Refused(f"key_value_pairs: expected an object, got {shown(raw)}")
    checked = {}
    for number, pair in raw.items():
        try:
            checked[number] = _pair(pair)
        except Refused as refused:
            raise refused.at(f"key_value_pairs[{shown(number)}]") from None
    return checked


def _pair(pair: object) -> _Pair:
    match pair:
        case [str(key), value] if key in rules.PAIRS:
            return key, _checked(rules.PAIRS[key], value, key)
        case [str(key), value]:
            metadata = rules.column(key)
            return metadata, _checked(rules.column, value, f"metadata {shown(key)}")
        case _:
            raise Refused(f"expected a list of a key and a value, got {shown(pair)}")


def _row(index: int, row: object, pairs: Mapping[str, _Pair], agent_id: str) -> Datapoint:
    try:
        return _datapoint(*_put_in(row, pairs), agent_id)
    except Refused as refused:
        raise refused.at(f"datapoint_pairs[{index}]") from None


def _put_in(row: object, pairs: Mapping[str, _Pair]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put the pairs in the places of their numbers: the ten, and the metadata."""
    if not isinstance(row, list):
        raise Refused(f"expected a list of numbers of pairs, got {shown(row)}")
    own: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for number in row:
        if type(number) is not int or str(number) not in pairs:
            raise Refused(f"there is no pair {shown(number)}")
        key, value = pairs[str(number)]
        if key in own:
            raise Refused(f"{key} is given twice")
        (own if key in rules.PAIRS else metadata).setdefault(key, value)
    missing = sorted(rules.PAIRS.keys() - own.keys())
    if missing:
        raise Refused(f"without {', '.join(missing)}")
    return own, metadata


def _datapoint(own: Mapping[str, Any], metadata: Mapping[str, str], agent_id: str) -> Datapoint:
    if own["pattoo_agent_id"] != agent_id:
        other = shown(own["pattoo_agent_id"])
        raise Refused(f"pattoo_agent_id: {other}, but the post is of {shown(agent_id)}")
    key, program = own["pattoo_key"], own["pattoo_agent_program"]
    # The pattoo server keeps both in one column.
    _checked(rules.column, f"{program}_{key}", "pattoo_agent_program with pattoo_key")
    data_type = own["pattoo_data_type"]
    return Datapoint(
        key=key,
        value=_checked(partial(rules.typed, of_type=data_type), own["pattoo_value"], shown(key)),
        data_type=data_type,
        timestamp_ms=own["pattoo_timestamp"],
        checksum=own["pattoo_checksum"],
        polling_interval_ms=own["pattoo_agent_polling_interval"],
        agent_id=agent_id,
        target=own["pattoo_agent_polled_target"],
        hostname=own["pattoo_agent_hostname"],
        program=program,
        metadata=tuple(metadata.items()),
    )


def _only(found: Mapping[str, object], expected: frozenset[str], where: str) -> None:
    if found.keys() != expected:
        raise Refused(f"{where}: the keys {shown(list(found))}, expected {sorted(expected)}")


def _field(envelope: Mapping[str, object], key: str, rule: Callable[[object], T]) -> T:
    return _checked(rule, envelope[key], key)


def _checked(rule: Callable[[Any], T], value: object, where: str) -> T:
    try:
        return rule(value)
    except Refused as refused:
        raise refused.at(where) from None

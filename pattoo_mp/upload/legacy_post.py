"""The content of one unsent post of the original agent: pure.

The original keeps what it could not post as it is, and so does this agent send it, with a new
time of the envelope. It was made without the care of `pattoo_mp.wire.safe`, so it is looked at
first: what a pattoo server does not survive never leaves.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pattoo_mp.errors import WireError
from pattoo_mp.wire.safe import TEXT_BYTES, sendable

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIME: Final = "pattoo_agent_timestamp"
_AGENT: Final = "pattoo_agent_id"
_INTERVAL: Final = "pattoo_agent_polling_interval"
_POINTS: Final = "pattoo_datapoints"
_PAIRS: Final = "key_value_pairs"
_ROWS: Final = "datapoint_pairs"

_POSITIVE: Final = re.compile(r"0*[1-9][0-9]{0,17}")


def with_envelope(content: bytes, agent_id: str, envelope_ms: int) -> bytes:
    """The same post with another time on its envelope.

    Raises `WireError` where `content` is not a post of this agent that a server survives.
    """
    post = _parsed(content)
    _check(post, agent_id)
    return json.dumps({**post, _TIME: envelope_ms}, allow_nan=False).encode()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        post = json.loads(content, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
    return _object(post, "the file", {_TIME, _AGENT, _INTERVAL, _POINTS})


def _not_json(literal: str) -> NoReturn:
    raise WireError(f"the value {literal}")


def _check(post: dict[str, Any], agent_id: str) -> None:
    if post[_AGENT] != agent_id:
        raise WireError("a post of another agent")
    if not _is_time(post[_TIME]) or not _is_time(post[_INTERVAL]) or not post[_INTERVAL]:
        raise WireError("a time or an interval that is not a number of milliseconds")
    points = _object(post[_POINTS], _POINTS, {_PAIRS, _ROWS})
    pairs, rows = points[_PAIRS], points[_ROWS]
    if not isinstance(pairs, dict) or not isinstance(rows, list):
        raise WireError("datapoints that are not pairs and lists of their numbers")
    _check_pairs(pairs.values(), agent_id)
    for row in rows:
        if not isinstance(row, list) or not all(type(n) is int and str(n) in pairs for n in row):
            raise WireError("a datapoint that is not a list of numbers of pairs")


def _object(value: object, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise WireError(f"{where} is not an object of {', '.join(sorted(keys))}")
    return value


def _check_pairs(pairs: Iterable[object], agent_id: str) -> None:
    longest = {"pattoo_key": 0, "pattoo_agent_program": 0}
    for pair in pairs:
        match pair:
            case [str(key), value]:
                _check_pair(key, value, agent_id)
                if key in longest:
                    longest[key] = max(longest[key], len(str(value).encode()))
            case _:
                raise WireError("a pair that is not a list of a key and a value")
    # The server keeps both in one column, with a character between.
    if sum(longest.values()) + 1 > TEXT_BYTES:
        raise WireError("a program with a key that are too long together")


def _check_pair(key: str, value: object, agent_id: str) -> None:
    match key:
        case "pattoo_agent_id":
            good = value == agent_id
        case "pattoo_timestamp":
            good = _is_time(value)
        case "pattoo_data_type":
            good = type(value) is int
        case "pattoo_agent_polling_interval":
            good = isinstance(value, str) and _POSITIVE.fullmatch(value) is not None
        case "pattoo_value":
            good = _is_value(value)
        case _:
            good = _is_text(value)
    if not good or not _is_text(key):
        raise WireError(f"a pair that no server survives: {ascii(key)[:80]}: {ascii(value)[:80]}")


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_value(value: object) -> bool:
    """Numbers that can be stored, and what the server passes over: null, booleans, words."""
    if isinstance(value, str):
        try:
            return sendable(float(value))
        except ValueError:
            return _is_text(value)
    return value is None or isinstance(value, bool) or sendable(value)


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value.encode()) <= TEXT_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False

"""Decode a post, and refuse everything that a pattoo server could not handle. No I/O.

A post is this JSON object; a datapoint is a list of the numbers of its pairs:

    {"pattoo_agent_timestamp": ms, "pattoo_agent_id": "…", "pattoo_agent_polling_interval": ms,
     "pattoo_datapoints": {"key_value_pairs": {"0": [key, value], …},
                           "datapoint_pairs": [[0, …], …]}}

This receiver is stricter than the pattoo server, to show the author of an agent what would break:

- Refused by both, with the same status: a body that is not JSON or has wrong keys (500), and one
  that is not an object (404).
- Answered with 200 by the pattoo server, which then drops the datapoint, loses the batch or stops
  for every agent; refused here with 500: a value that breaks one of the rules below, a datapoint
  without one of its ten pairs, the number of a pair that does not exist, two agents in one post.

Each pair is checked once, whether a datapoint uses it or not. A post is refused as a whole.
"""

from __future__ import annotations

import math
import re
import reprlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from pattoo_mp.errors import PattooError
from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


__all__ = ["Datapoint", "Post", "Refused", "decode_post"]

#: The path before `/receive/<agent_id>` and `/status`.
PREFIX: Final = "/pattoo/api/v1/agent"
#: Twice the post of a host with 3,000 mounts (24,000 series). A post of several polls has 1 to 2 MB.
#: The pattoo server accepts 200 MB.
MAX_BODY_BYTES: Final = 10_000_000
#: A post has five levels of lists and objects.
_MAX_DEPTH: Final = 8
#: More than fit into a body of usual text. Others might refer to the same few pairs again and again.
_MAX_DATAPOINTS: Final = 100_000
#: The ten of each datapoint, and many times the metadata of any.
_MAX_PAIRS: Final = 250
#: The pattoo server's status for a body that it cannot use.
UNUSABLE: Final = 500
#: The pattoo server's status for a request that is no pattoo post at all.
NOT_A_POST: Final = 404
#: The status for a post that is too large.
TOO_LARGE: Final = 413

#: The pattoo server's numbers of the data types.
STRING: Final = 2
COUNTER32: Final = 32
COUNTER64: Final = 64
INTEGER: Final = 99
FLOAT: Final = 101
DATA_TYPES: Final = frozenset({STRING, COUNTER32, COUNTER64, INTEGER, FLOAT})

Value = int | float | str

#: The size of the pattoo server's text columns (bytes).
TEXT_BYTES: Final = 512
#: The pattoo server's DECIMAL(40,10) overflows from here on.
VALUE_LIMIT: Final = 1e30
#: The end of a database's column of milliseconds.
TIME_LIMIT: Final = 2**63

_CHECKSUM: Final = re.compile(r"[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")

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


@dataclass(frozen=True, slots=True)
class Datapoint:
    """One value of one series at one time.

    `value` is a number unless `data_type` is `STRING`. Times are Unix time in ms, the interval
    is in ms. `metadata` is in the order of the post; of a duplicate key the first value counts.
    """

    key: str
    value: Value
    data_type: int
    timestamp_ms: int
    checksum: str
    polling_interval_ms: int
    agent_id: str
    target: str
    hostname: str
    program: str
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Post:
    """The body of one request: the fields of its envelope, and its datapoints in order."""

    timestamp_ms: int
    agent_id: str
    polling_interval_ms: int
    datapoints: tuple[Datapoint, ...]

    @property
    def polls(self) -> int:
        """The number of different times among the datapoints."""
        return len({point.timestamp_ms for point in self.datapoints})


class Refused(PattooError):  # noqa: N818 - it is an answer to a client, not a fault of ours
    """The post is refused. `status` is the HTTP status of the answer, the message is its body."""

    def __init__(self, reason: str, status: int = UNUSABLE) -> None:
        super().__init__(reason)
        self.status = status

    def at(self, where: str) -> Refused:
        """Return this refusal with its place in the body, `where`, before the reason."""
        return Refused(f"{where}: {self}", self.status)


def shown(value: object) -> str:
    """`value` in a few printable characters on one line; it may be long or hostile."""
    return _SHORT.repr(value)


def _short() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = 80
    return short


_SHORT: Final = _short()


# Decoding.


def decode_post(body: bytes, *, sent_to: str | None = None) -> Post:
    """Decode `body`. Raises `Refused`, and nothing else, with the reason in one line.

    `sent_to` is the agent id in the URL, which must equal the one in the body.
    """
    envelope = _parsed(body)
    if not isinstance(envelope, dict):
        raise Refused(f"the body: expected a JSON object, got {shown(envelope)}", NOT_A_POST)
    _only(envelope, _ENVELOPE, "the body")
    agent_id = _field(envelope, "pattoo_agent_id", column)
    if sent_to is not None and agent_id != sent_to:
        raise Refused(f"pattoo_agent_id: {shown(agent_id)}, but the URL says {shown(sent_to)}")
    return Post(
        timestamp_ms=_field(envelope, "pattoo_agent_timestamp", timestamp),
        agent_id=agent_id,
        polling_interval_ms=_field(envelope, "pattoo_agent_polling_interval", interval),
        datapoints=_datapoints(envelope["pattoo_datapoints"], agent_id),
    )


def _parsed(body: bytes) -> object:
    try:
        return json_text.parse(body, _MAX_DEPTH, _not_json)
    except ValueError as error:
        # Bytes that are not UTF-8, and integers of thousands of digits, raise it as well.
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
    if len(rows) > _MAX_DATAPOINTS:
        raise Refused(f"more than {_MAX_DATAPOINTS} datapoints", TOO_LARGE)
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
        case [str(key), value] if key in PAIRS:
            return key, _checked(PAIRS[key], value, key)
        case [str(key), value]:
            metadata = column(key)
            return metadata, _checked(column, value, f"metadata {shown(key)}")
        case _:
            raise Refused(f"expected a list of a key and a value, got {shown(pair)}")


def _row(index: int, row: object, pairs: Mapping[str, _Pair], agent_id: str) -> Datapoint:
    try:
        return _datapoint(*_row_pairs(row, pairs), agent_id)
    except Refused as refused:
        raise refused.at(f"datapoint_pairs[{index}]") from None


def _row_pairs(row: object, pairs: Mapping[str, _Pair]) -> tuple[dict[str, Any], dict[str, str]]:
    """The pairs that the numbers in `row` name: the ten of every datapoint, and the metadata."""
    if not isinstance(row, list):
        raise Refused(f"expected a list of pair numbers, got {shown(row)}")
    if len(row) > _MAX_PAIRS:
        raise Refused(f"more than {_MAX_PAIRS} pairs")
    own: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for number in row:
        if type(number) is not int or str(number) not in pairs:
            raise Refused(f"there is no pair {shown(number)}")
        key, value = pairs[str(number)]
        if key in own:
            raise Refused(f"duplicate pair {key}")
        (own if key in PAIRS else metadata).setdefault(key, value)
    missing = sorted(PAIRS.keys() - own.keys())
    if missing:
        raise Refused(f"missing {', '.join(missing)}")
    return own, metadata


def _datapoint(own: Mapping[str, Any], metadata: Mapping[str, str], agent_id: str) -> Datapoint:
    if own["pattoo_agent_id"] != agent_id:
        other = shown(own["pattoo_agent_id"])
        raise Refused(f"pattoo_agent_id: {other}, but the post is from {shown(agent_id)}")
    key, program = own["pattoo_key"], own["pattoo_agent_program"]
    # The pattoo server stores both in one column.
    _checked(column, f"{program}_{key}", "pattoo_agent_program with pattoo_key")
    data_type = own["pattoo_data_type"]
    return Datapoint(
        key=key,
        value=_checked(partial(typed, of_type=data_type), own["pattoo_value"], shown(key)),
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


# The rules, one for each kind of value that a pattoo server can handle. Each returns the value with
# its proper type, or raises `Refused` with the reason; the caller adds the place in the body.


def text(value: object) -> str:
    """Accept any text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise Refused(f"expected a string, got {shown(value)}")
    _utf8(value)
    return value


def column(value: object) -> str:
    """Accept text that fits a column of the pattoo server."""
    fitting = text(value)
    size = len(_utf8(fitting))
    if size > TEXT_BYTES:
        raise Refused(f"{size} bytes in UTF-8, expected at most {TEXT_BYTES}: {shown(fitting)}")
    return fitting


def timestamp(value: object) -> int:
    """Accept Unix time in ms, as an integer; neither a bool nor a float like 1.0."""
    if type(value) is not int or not 0 <= value < TIME_LIMIT:
        raise Refused(f"expected an integer of milliseconds, got {shown(value)}")
    return value


def interval(value: object) -> int:
    """Accept a polling interval in ms, as in the envelope."""
    if timestamp(value) == 0:
        raise Refused("expected a positive integer of milliseconds, got 0")
    return timestamp(value)


def interval_text(value: object) -> int:
    """Accept a polling interval in ms, as in a datapoint: digits in a string."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise Refused(
            f"expected a positive integer of milliseconds in a string, got {shown(value)}"
        )
    return interval(int(value))


def data_type(value: object) -> int:
    """Accept a data type that the pattoo server knows."""
    if type(value) is not int or value not in DATA_TYPES:
        raise Refused(f"expected a data type of {sorted(DATA_TYPES)}, got {shown(value)}")
    return value


def checksum(value: object) -> str:
    """Accept a SHA-256 digest."""
    if not isinstance(value, str) or not _CHECKSUM.fullmatch(value):
        raise Refused(f"expected 64 hex digits, got {shown(value)}")
    return value


def scalar(value: object) -> Value:
    """Accept a value whose data type is not known yet: text or a number."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Refused(f"expected a number or a string, got {shown(value)}")


def typed(value: Value, of_type: int) -> Value:
    """Accept a value of the type `of_type`. As in the pattoo server, a string may be a number."""
    if of_type == STRING:
        return value
    try:
        # Converted to a float, as in the pattoo server: this may round an integer up to the limit.
        number = float(value)
    except ValueError:
        raise Refused(f"expected a number, got {shown(value)}") from None
    except OverflowError:
        number = math.inf
    # A NaN compares false with everything.
    if not -VALUE_LIMIT < number < VALUE_LIMIT:
        raise Refused(f"expected a finite number below {VALUE_LIMIT:g}, got {shown(value)}")
    return number if isinstance(value, str) else value


#: The ten pairs of every datapoint; all others are metadata.
PAIRS: Final[Mapping[str, Callable[[object], object]]] = {
    "pattoo_agent_polling_interval": interval_text,
    "pattoo_agent_hostname": text,
    "pattoo_agent_id": text,
    "pattoo_agent_polled_target": column,
    "pattoo_agent_program": text,
    "pattoo_key": text,
    "pattoo_data_type": data_type,
    "pattoo_value": scalar,
    "pattoo_timestamp": timestamp,
    "pattoo_checksum": checksum,
}


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Refused(f"a lone surrogate, which UTF-8 cannot encode: {shown(value)}") from None

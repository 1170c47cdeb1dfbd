"""The data that flows from the collector to the server: `Series`, `Layout`, `Poll`.

A layout holds everything that stays the same from poll to poll; a poll holds a time and values.
So the text and the checksums of a series are computed once per layout, and a poll takes only a few
hundred bytes in the channel and in the spool.
"""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgpack

from pattoo_mp.errors import WireError
from pattoo_mp.program import this_program
from pattoo_mp.util.lean_imports import blake2b

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Data types as the pattoo server numbers them. It keeps no data of the type string.
STRING: Final = 2
INTEGER: Final = 99
FLOAT: Final = 101
COUNTER64: Final = 64

#: Why ticks have no poll if the wall clock went ahead of the monotonic clock.
CLOCK_LEAPED: Final = "clock set forward or host suspended"

#: Poll times further ahead of the clock than this (ms) are reported: the clock was set back, or had
#: been wrong.
AHEAD_MS: Final = 10_000

#: None stands for a value that the host did not provide in this poll; it is not sent.
Value = int | float | None
Pair = tuple[str, str]

_LAYOUT_ID_BYTES = 8
UNDIVIDED_DIGITS: Final = 2 * _LAYOUT_ID_BYTES
#: The identifier of a divided layout is longer: it is recognised without its bytes.
_DIVIDED_ID_BYTES = 10
#: How a compressed layout begins; others begin with a list of three.
_ZLIB: Final = b"\x78"
_COMPRESSION: Final = 6
_UINT64_MAX = 2**64 - 1
_INT64_MIN = -(2**63)


def now_ms() -> int:
    """Return the wall-clock time in the unit of poll times: ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of datapoints: the agent's identity, its host and its program.

    `polled_target` is what the agent polled, if that is not its own host.
    """

    agent_id: str
    hostname: str
    program: str = field(default_factory=lambda: this_program().name)
    polled_target: str = ""

    @property
    def target(self) -> str:
        """What was polled."""
        return self.polled_target or self.hostname


@dataclass(frozen=True, slots=True)
class Series:
    """A datapoint as the server knows it, without its value.

    `metadata` is in the order that the checksum uses; a duplicate key keeps its first value.
    """

    key: str
    data_type: int
    metadata: tuple[Pair, ...] = ()


@dataclass(frozen=True, eq=False)
class Layout:
    """The series of a poll, in order. Layouts with equal identifiers are equal.

    A large one is divided: its `parts` are layouts, and its series are theirs. If a device changes,
    only one part does, and the others need not be made, sent and stored again.

    A hub has one for each spoke, thousands in all: they are `compressed`, to a tenth of the size.
    """

    origin: Origin
    interval_ms: int
    series: tuple[Series, ...]
    parts: tuple[Layout, ...] = ()
    compressed: bool = False

    @classmethod
    def of_parts(cls, parts: Sequence[Layout]) -> Layout:
        """Return the divided layout of `parts`, which have one origin and interval."""
        series = tuple(chain.from_iterable(part.series for part in parts))
        return cls(parts[0].origin, parts[0].interval_ms, series, tuple(parts))

    @property
    def undivided(self) -> tuple[Layout, ...]:
        """Its parts, or itself if it has none."""
        return self.parts or (self,)

    @cached_property
    def identifier(self) -> str:
        """The hash of everything in the layout, as 16 hexadecimal digits; 20 if it is divided."""
        size = _DIVIDED_ID_BYTES if self.parts else _LAYOUT_ID_BYTES
        return blake2b(self.packed, digest_size=size).hexdigest()

    @cached_property
    def packed(self) -> bytes:
        """The layout as bytes for the channel and the spool; `unpack` reads them.

        Those of a divided layout hold only the identifiers of its parts.
        """
        of = self.origin
        origin = [of.agent_id, of.hostname, of.program]
        if of.polled_target:
            origin.append(of.polled_target)
        if self.parts:
            identifiers = [part.identifier for part in self.parts]
            return _pack((origin, self.interval_ms, identifiers), unicode_errors="surrogateescape")
        series = [(s.key, s.data_type, s.metadata) for s in self.series]
        # A mount point may hold bytes that are not UTF-8; they must survive until the encoder.
        packed = _pack((origin, self.interval_ms, series), unicode_errors="surrogateescape")
        return zlib.compress(packed, _COMPRESSION) if self.compressed else packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and other.identifier == self.identifier

    def __hash__(self) -> int:
        return hash(self.identifier)

    @classmethod
    def join(cls, packed: bytes, part: Callable[[str], Layout]) -> Layout:
        """Return the divided layout that `packed` holds. `part` returns a part by its identifier.

        Raises `WireError` if the bytes are no such layout, and what `part` raises.
        """
        identifiers = part_identifiers(packed)
        if not identifiers:
            raise WireError("unreadable layout: it has no parts")
        return cls.of_parts([part(identifier) for identifier in identifiers])

    @classmethod
    def unpack(cls, packed: bytes) -> Layout:
        """Return the undivided layout that `packed` holds.

        Raises `WireError` if the bytes are no layout.
        """
        try:
            compressed = packed[:1] == _ZLIB
            content = zlib.decompress(packed) if compressed else packed
            origin, interval_ms, rows = msgpack.unpackb(content, unicode_errors="surrogateescape")
            series = tuple(
                Series(str(key), int(data_type), tuple((str(k), str(v)) for k, v in metadata))
                for key, data_type, metadata in rows
            )
            layout = cls(Origin(*map(str, origin)), int(interval_ms), series, (), compressed)
        except (
            ValueError,
            TypeError,
            OverflowError,
            msgpack.UnpackException,
            zlib.error,
        ) as error:
            raise WireError(f"unreadable layout: {error}") from error
        if compressed:
            # Another release of zlib might make other bytes, and so another identifier, of it.
            layout.__dict__["packed"] = packed
        return layout


def is_divided(identifier: str) -> bool:
    """Return whether the layout of this identifier is divided."""
    return len(identifier) > UNDIVIDED_DIGITS


def part_identifiers(packed: bytes) -> tuple[str, ...]:
    """Return the identifiers of the parts of a divided layout, given as bytes.

    Raises `WireError` if the bytes are no divided layout.
    """
    try:
        _, _, identifiers = msgpack.unpackb(packed, unicode_errors="surrogateescape")
        found = tuple(identifiers)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"unreadable layout: {error}") from error
    if not all(isinstance(i, str) and not is_divided(i) for i in found):
        raise WireError("unreadable layout: its parts are not those of a divided layout")
    return found


@dataclass(frozen=True, slots=True)
class Poll:
    """The values of a layout at one time.

    The values stay packed between the collector and the encoder: nothing on that way needs them.
    `group` names the origin and the interval of a spoke's poll; it is empty for the agent's own.
    """

    layout_id: str
    timestamp_ms: int
    packed: bytes
    group: str = ""

    @classmethod
    def of(cls, layout: Layout, timestamp_ms: int, values: Sequence[Value]) -> Poll:
        """Pack `values`, one for each series of `layout`, in its order."""
        if len(values) != len(layout.series):
            raise WireError(
                f"a poll of {len(values)} values for a layout of {len(layout.series)} series"
            )
        return cls(layout.identifier, timestamp_ms, _pack_values(values))

    def values(self) -> list[Value]:
        """Return the unpacked values. Raises `WireError` if the bytes are damaged."""
        values = self._unpacked()
        return values if isinstance(values, list) else _timed(values)[0]

    def timed(self) -> tuple[list[Value], list[int] | None]:
        """Return the values, and by how much later (ms) than the poll each was read, if they differ.

        The original spoke gives each value a time of its own. Raises `WireError`.
        """
        values = self._unpacked()
        return (values, None) if isinstance(values, list) else _timed(values)

    def _unpacked(self) -> object:
        try:
            return msgpack.unpackb(self.packed)
        except (ValueError, msgpack.UnpackException) as error:
            raise WireError(f"unreadable poll: {error}") from error


def group_of(agent_id: str, interval_ms: int) -> str:
    """Return the name of a spoke's group: its polls of one interval, of which each has another time."""
    return f"{agent_id} {interval_ms}"


def agent_of(group: str) -> str:
    """Return the identity of the agent that a group is of."""
    return group.partition(" ")[0]


def pack_values(values: Sequence[Value], later_ms: Sequence[int] | None = None) -> bytes:
    """Return a poll's values as bytes; `later_ms` is as `Poll.timed` returns it."""
    if later_ms is None:
        return _pack_values(values)
    return _pack({"values": list(values), "later_ms": list(later_ms)})


def _timed(content: object) -> tuple[list[Value], list[int] | None]:
    match content:
        case {"values": [*values], "later_ms": [*later]} if len(values) == len(later):
            if all(type(one) is int for one in later):
                return values, later
    raise WireError(f"unreadable poll: a {type(content).__name__}; expected a list of values")


def _pack(content: object, unicode_errors: str = "strict") -> bytes:
    packed: bytes = msgpack.packb(content, unicode_errors=unicode_errors)
    return packed


def _pack_values(values: Sequence[Value]) -> bytes:
    try:
        return _pack(values)
    except OverflowError:
        # MessagePack integers have at most 64 bits; the server stores a float anyway.
        return _pack([_narrow(value) for value in values])


def _narrow(value: Value) -> Value:
    if not isinstance(value, int) or _INT64_MIN <= value <= _UINT64_MAX:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf

"""The body of a remote write request: `WriteRequest`, a protobuf message of three levels.

    WriteRequest    timeseries (1, repeated), metadata (3, repeated)
    TimeSeries      labels (1, repeated), samples (2, repeated)
    Label           name (1), value (2)
    Sample          value (1, double), timestamp (2, int64, ms)
    MetricMetadata  type (1), metric_family_name (2), help (4), unit (5)

It is made by hand, since the message is small and the samples of a request are regular: all series of
a block have the same times. So one `struct.Struct` packs all samples of a series; its separators hold
the fields' tags and the times (docs/decisions/033-remote-write.md).
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

#: Tags: of `TimeSeries.samples`, `Sample.value` and `Sample.timestamp`.
_SAMPLE: Final = 0x12
_VALUE: Final = 0x09
_TIMESTAMP: Final = 0x10
#: The value of a stale marker: a NaN with these bits.
_STALE_BYTES: Final = struct.pack("<Q", 0x7FF0000000000002)


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of many series at the same times (ms, ascending).

    Each row is a series: its labels as `labels_of` makes them, and a value for each time; `None`, and
    what is not a finite number, is left out. The series in `ended` get a stale marker at the first time.
    """

    times_ms: tuple[int, ...]
    rows: Iterable[tuple[bytes, Sequence[object]]]
    ended: Collection[bytes] = ()

    @property
    def series(self) -> list[bytes]:
        """The labels of all its series."""
        return [*self.ended, *(labels for labels, _ in self.rows)]


def request(blocks: Iterable[Block]) -> bytes:
    """Return the message with the samples of all blocks; those of a series are in their order."""
    series: dict[bytes, list[bytes]] = {}
    for block in blocks:
        for labels in block.ended:
            series.setdefault(labels, []).append(_stale_sample(block.times_ms[0]))
        pack = _packer(block.times_ms)
        for labels, values in block.rows:
            samples = pack(values)
            if samples:
                series.setdefault(labels, []).append(samples)
    parts: list[bytes] = []
    for labels, some in series.items():
        body = labels + b"".join(some)
        parts += (b"\x0a", varint(len(body)), body)
    return b"".join(parts)


def labels_of(labels: Mapping[str, str]) -> bytes:
    """Return the labels of a series, sorted by name as receivers want them."""
    return b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode()))
        for name, value in sorted(labels.items())
        if value
    )


def metadata(kind: int, name: str, help_text: str, unit: str) -> bytes:
    """Return the metadata of a metric as a part of a request. `kind` is 1 for counters, 2 for gauges."""
    texts = field(2, name.encode()) + field(4, help_text.encode()) + field(5, unit.encode())
    return field(3, b"\x08" + varint(kind) + texts)


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, with its tag and length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Return a whole number, not negative, in groups of seven bits, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


class _Packer:
    """Packs a value for each of some times into samples."""

    def __init__(self, times_ms: tuple[int, ...]) -> None:
        self._times_ms = times_ms
        after = [bytes((_TIMESTAMP,)) + varint(time_ms) for time_ms in times_ms]
        before = [bytes((_SAMPLE, 1 + 8 + len(text), _VALUE)) for text in after]
        between = [first + second for first, second in zip(after, before[1:], strict=False)]
        separators = [before[0], *between, after[-1]]
        self._struct = struct.Struct("<" + "d".join(f"{len(text)}s" for text in separators))
        self._fields: list[object] = [None] * (2 * len(separators) - 1)
        self._fields[::2] = separators

    def __call__(self, values: Sequence[object]) -> bytes:
        """Return the samples of all values that are finite numbers."""
        fields = self._fields.copy()  # two outputs may pack at the same time
        fields[1::2] = values
        try:
            if isfinite(sum(values)):  # type: ignore[arg-type]  # so all are numbers, and finite
                return self._struct.pack(*fields)
        except (TypeError, OverflowError, struct.error):
            pass
        return self._some(values)

    def _some(self, values: Sequence[object]) -> bytes:
        packed = []
        for time_ms, value in zip(self._times_ms, values, strict=True):
            if not isinstance(value, (int, float)):
                continue
            with suppress(OverflowError):  # a whole number beyond a float's range
                if isfinite(value):
                    packed.append(sample(value, time_ms))
        return b"".join(packed)


@lru_cache(maxsize=8)
def _packer(times_ms: tuple[int, ...]) -> _Packer:
    return _Packer(times_ms)


def sample(value: float, time_ms: int) -> bytes:
    """Return one sample as a part of a series."""
    return _sample(struct.pack("<d", value), time_ms)


def _sample(value: bytes, time_ms: int) -> bytes:
    content = bytes((_VALUE,)) + value + bytes((_TIMESTAMP,)) + varint(time_ms)
    return bytes((_SAMPLE, len(content))) + content


def _stale_sample(time_ms: int) -> bytes:
    return _sample(_STALE_BYTES, time_ms)

"""Columns of numbers in few bytes. No I/O.

Values of one series are regular: they stay, grow evenly, or differ in their last digits. So a column is
kept as whole numbers where it has at most three decimals, either less their least, or as differences less
the least difference, whichever is narrower. They are laid out by bytes (all lowest bytes first) and deflated.
Other numbers are kept as doubles, laid out and deflated in the same way. What is decoded is equal to what
was encoded, to the last bit but for the sign of a zero.

    form, 1 byte:  the place in `_FORMS`, 16 times the place in `_SCALES`, and `_DIFFERENCES`
    constants:     lengths of 1 byte, each with a signed little-endian integer of so many bytes
    items:         deflated, without a header; none if all values are equal
"""

from __future__ import annotations

import sys
import zlib
from array import array
from itertools import accumulate, repeat
from operator import sub, truediv
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Types of the items (`array`); the first stands for no items at all, the last for doubles.
_FORMS: Final = ("", "B", "H", "I", "Q", "d")
_DOUBLES: Final = len(_FORMS) - 1
_DIFFERENCES: Final = 128
#: Decimals that percentages, loads and processor times have.
_SCALES: Final = (1, 10, 100, 1000)
#: Above it, a double does not hold every whole number.
_EXACT: Final = 2.0**53
#: So many values tell quickly that a scale does not fit.
_PROBE: Final = 8
_LEVEL: Final = 9
_RAW_DEFLATE: Final = -15


def encode(values: Sequence[float]) -> bytes:
    """Return a column of at least one finite value."""
    for place, scale in enumerate(_SCALES):
        if _fits(values[:_PROBE], scale) and _fits(values, scale):
            return encode_integers(_scaled(values, scale), place)
    return bytes([_DOUBLES]) + _deflated(array("d", values))


def decode(column: bytes, count: int) -> list[float]:
    """Return the `count` values of a column."""
    if column[0] == _DOUBLES:
        return list(_inflated("d", column[1:], count))
    scale = _SCALES[column[0] >> 4 & 7]
    whole = decode_integers(column, count)
    return list(map(float, whole)) if scale == 1 else list(map(truediv, whole, repeat(scale)))


def encode_integers(values: Sequence[int], place: int = 0) -> bytes:
    """Return a column of at least one integer of 63 bits; `place` is that of their scale."""
    least, most = min(values), max(values)
    if least == most:
        return bytes([place << 4]) + _constant(least)
    differences = list(map(sub, values[1:], values))
    lowest, highest = min(differences), max(differences)
    if highest - lowest < most - least:
        form = _form(highest - lowest)
        head = bytes([form | place << 4 | _DIFFERENCES]) + _constant(values[0]) + _constant(lowest)
        return head + (_items(form, differences, lowest) if form else b"")
    form = _form(most - least)
    return bytes([form | place << 4]) + _constant(least) + _items(form, values, least)


def decode_integers(column: bytes, count: int) -> list[int]:
    """Return the `count` integers of a column."""
    form = column[0] & 15
    first, at = _read_constant(column, 1)
    if not column[0] & _DIFFERENCES:
        if not form:
            return [first] * count
        return [first + item for item in _inflated(_FORMS[form], column[at:], count)]
    lowest, at = _read_constant(column, at)
    if not form:
        return list(accumulate(repeat(lowest, count - 1), initial=first))
    items = _inflated(_FORMS[form], column[at:], count - 1)
    return list(accumulate([lowest + item for item in items], initial=first))


def _fits(values: Sequence[float], scale: int) -> bool:
    if not -_EXACT < min(values) * scale <= max(values) * scale < _EXACT:
        return False
    if scale == 1:
        return all(map(float.is_integer, values))
    return all(map(float.__eq__, map(truediv, _scaled(values, scale), repeat(scale)), values))


def _scaled(values: Sequence[float], scale: int) -> list[int]:
    if scale == 1:
        return list(map(int, values))
    return [round(value * scale) for value in values]


def _form(span: int) -> int:
    return next(form for form, bits in enumerate((0, 8, 16, 32, 64)) if span < 1 << bits)


def _items(form: int, values: Sequence[int], least: int) -> bytes:
    return _deflated(array(_FORMS[form], [value - least for value in values]))


def _constant(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return bytes([size]) + value.to_bytes(size, "little", signed=True)


def _read_constant(column: bytes, at: int) -> tuple[int, int]:
    end = at + 1 + column[at]
    return int.from_bytes(column[at + 1 : end], "little", signed=True), end


def _deflated(items: array[Any]) -> bytes:
    if sys.byteorder == "big":
        items.byteswap()
    raw, size = items.tobytes(), items.itemsize
    laid_out = raw if size == 1 else b"".join(raw[byte::size] for byte in range(size))
    return zlib.compress(laid_out, _LEVEL, _RAW_DEFLATE)


def _inflated(form: str, packed: bytes, count: int) -> array[Any]:
    items: array[Any] = array(form)
    size = items.itemsize
    laid_out = zlib.decompress(packed, _RAW_DEFLATE, count * size)
    raw = bytearray(count * size)
    for byte in range(size):
        raw[byte::size] = laid_out[byte * count : (byte + 1) * count]
    items.frombytes(raw)
    if sys.byteorder == "big":
        items.byteswap()
    return items

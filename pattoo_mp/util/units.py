"""Times and sizes with their units, as people write them: `5m`, `300 ms`, `1h30m`, `10 MB`, `2 GiB`.

They are read exactly: what is no whole number of milliseconds or bytes is refused, and so is what two
people could read differently (`5 M`, `10 mb`). `exact_time` and `exact_size` write what is read here as the
same value; `text.duration` and `text.size` round.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY_MS: Final = 86_400_000
#: In milliseconds, the largest first. A month or a year has no one length.
_TIMES: Final = {
    "w": 7 * _DAY_MS, "days": _DAY_MS, "day": _DAY_MS, "d": _DAY_MS, "h": 3_600_000,
    "min": 60_000, "m": 60_000, "s": 1000, "ms": 1,
}  # fmt: skip
_SIZES: Final = {
    "TiB": 2**40, "TB": 10**12, "GiB": 2**30, "GB": 10**9, "MiB": 2**20, "MB": 10**6, "KiB": 2**10, "kB": 10**3,
    "bytes": 1, "byte": 1, "B": 1,
}  # fmt: skip

#: What messages say is expected before a plain number.
A_TIME: Final = "a time such as 300 ms, 5m or 1h30m (units: ms, s, m, h, d, w), or"
A_SIZE: Final = "a size such as 10 MB or 2 GiB (units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), or"

#: More than any valid one has. Digits are bounded with it: Python is slow with very many.
_MAX_CHARACTERS: Final = 40
_PART: Final = re.compile(r" *(0|[1-9][0-9]*)(?:\.([0-9]+))? *([A-Za-z]+)")


def milliseconds(text: str) -> int:
    """Read a time with its unit: one part, or several from a larger unit to a smaller one.

    Raises `ValueError` for any other text, also for a number without a unit.
    """
    return _read(text, _TIMES)


def byte_count(text: str) -> int:
    """Read a size with its unit: MB is 10^6 bytes, MiB is 2^20. Raises `ValueError` as `milliseconds` does."""
    return _read(text, _SIZES, most_parts=1)


def _read(text: str, units: Mapping[str, int], most_parts: int = len(_TIMES)) -> int:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("too long")
    total, at, above, parts = 0, 0, None, 0
    while at < len(text) or not parts:
        found = _PART.match(text, at)
        unit = units.get(found[3]) if found else None
        if found is None or unit is None or (above is not None and unit >= above):
            raise ValueError("not a number with its unit")
        decimals = found[2] or ""
        if decimals and found.end() < len(text):
            raise ValueError("a fraction before another part")
        count, rest = divmod(int(found[1] + decimals) * unit, 10 ** len(decimals))
        if rest:
            raise ValueError("not a whole number of the smallest unit")
        total, at, above, parts = total + count, found.end(), unit, parts + 1
    if parts > most_parts:
        raise ValueError("more than one part")
    return total


def exact_time(seconds: float) -> str:
    """Return a time without rounding, in the largest unit of which it is a whole number: 5 min, 90 s, 30 days.

    Below a second in milliseconds. What is no whole number of these stays a fraction of a second.
    """
    count = round(seconds * 1000)
    if abs(count - seconds * 1000) > 1e-6:
        return f"{seconds!r} s"
    if count % 1000 and count > 1000:
        return f"{count / 1000:.3f}".rstrip("0") + " s"
    for unit in ("d", "h", "min", "s", "ms"):
        if count >= _TIMES[unit] and count % _TIMES[unit] == 0:
            many = count // _TIMES[unit]
            return counted(many, "day") if unit == "d" else f"{many} {unit}"
    return "0 s"


def exact_size(count: int) -> str:
    """Return a number of bytes without rounding, in the unit with the fewest digits: 10 MB, 2 GiB, 1234567 bytes."""
    units = [unit for unit, size in _SIZES.items() if count and count % size == 0 and size > 1]
    if not units:
        return counted(count, "byte")
    best = min(units, key=lambda unit: count // _SIZES[unit])
    return f"{count // _SIZES[best]} {best}"

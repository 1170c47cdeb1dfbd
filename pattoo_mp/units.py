"""Times and sizes in words, with no more digits than a person wants: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMES: Final = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))
_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def time(seconds: float) -> str:
    """For example 0.42 ms, 1.5 s, 3.2 h, 30 days."""
    for unit, name in _TIMES:
        # Up to two of the next larger unit: 90 s says more than 1.5 min.
        if seconds >= (2 * unit if unit > 1 else unit):
            return f"{_digits(seconds / unit)} {name}"
    return f"{_digits(seconds * 1000)} ms"


def intervals(intervals_ms: Iterable[int]) -> str:
    """As they are set: "0.1 s, 60 s"."""
    return ", ".join(f"{interval_ms / 1000:g} s" for interval_ms in intervals_ms)


def size(count: float) -> str:
    """For example 512 bytes, 1.2 kB, 1 GB."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{_digits(count / unit)} {name}"
    return counted(f"{count:.0f}", "byte")


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.2g}"

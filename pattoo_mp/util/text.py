"""Counts in words, for the log and for whoever asks: the one place that knows '1 poll' from '2 polls'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


def counted(count: int | str, unit: str) -> str:
    """A count, or what is shown of it, with its unit in the singular or the plural."""
    return f"{count} {unit}" if str(count) == "1" else f"{count} {unit}s"


# Text of somebody else's as it may be shown: who may name a mount point may put an escape in it.


def printable(text: str) -> str:
    """On one line, without what a terminal would act on, nor what is not UTF-8."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# Times and sizes in words, with no more digits than a person wants: pure.


_TIMES: Final = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))


_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def duration(seconds: float) -> str:
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

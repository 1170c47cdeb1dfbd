"""Text for logs and screens: counts, durations and sizes in words, and safe foreign text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


_TIMES: Final = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))
_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def counted(count: int | str, unit: str) -> str:
    """Return a count (or its shown form) with its unit, singular or plural: 1 poll, 2 polls."""
    return f"{count} {unit}" if str(count) == "1" else f"{count} {unit}s"


def either(words: Iterable[str]) -> str:
    """Return words of which one is meant: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def printable(text: str) -> str:
    """Return text on one line, with control characters and invalid UTF-8 escaped.

    For text that others control: a mount point's name, for example, may contain an escape sequence.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Return a duration with few digits, for example 0.42 ms, 1.5 s, 3.2 h, 30 days."""
    for unit, name in _TIMES:
        # Below two of a larger unit the smaller one is used: 90 s says more than 1.5 min.
        if seconds >= (2 * unit if unit > 1 else unit):
            return f"{_digits(seconds / unit)} {name}"
    return f"{_digits(seconds * 1000)} ms"


def intervals(intervals_ms: Iterable[int]) -> str:
    """Return intervals in seconds, as the configuration has them: "0.1 s, 60 s"."""
    return ", ".join(f"{interval_ms / 1000:g} s" for interval_ms in intervals_ms)


def size(count: float) -> str:
    """Return a number of bytes with few digits, for example 512 bytes, 1.2 kB, 1 GB."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{_digits(count / unit)} {name}"
    return counted(f"{count:.0f}", "byte")


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.2g}"

"""Checks of single values: each returns the value to use, or raises `ValueError`.

Those of lists and mappings are in `choices.py`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEAST_LOG: Final = 10_000
MOST_BACKUPS: Final = 100
MOST_TOP_PROCESSES: Final = 20
MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 86_400


def path(value: object) -> Path:
    """Take the absolute path of a file or a directory, be it there or not."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    try:
        found = Path(value.strip()).expanduser()
    except RuntimeError as error:  # there is no such user or home
        raise ValueError from error
    if not found.is_absolute():
        raise ValueError
    return found


def optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Take None for a default that follows from other settings."""
    return lambda value: None if value is None else check(value)


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """Take one of these words, however it is written."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError
        return value.strip().lower()

    return check


def of_others(value: object) -> str:
    """Take anything, as text that a message can carry: nobody here goes by it."""
    return value if isinstance(value, str) and value.isascii() else ascii(value)


def interval_ms(value: object) -> int:
    """Take seconds, and give milliseconds: the server wants a whole number of them."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    if not MIN_INTERVAL_S <= value <= MAX_INTERVAL_S:
        raise ValueError
    milliseconds = round(value * 1000)
    if not math.isclose(milliseconds, value * 1000, abs_tol=1e-6):
        raise ValueError
    return milliseconds


def seconds(least: float, most: float) -> Callable[[object], float]:
    """Take a number of seconds in this range."""

    def check(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        if not least <= value <= most:
            raise ValueError
        return float(value)

    return check


def whole_number(lowest: int, highest: int = 2**63 - 1) -> Callable[[object], int]:
    """Take whole numbers in this range."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError
        return value

    return check


def yes_or_no(value: object) -> bool:
    """Take what YAML calls true and false."""
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    return value


def log_max_bytes(value: object) -> int:
    """Take a size that leaves room for some lines, or 0."""
    size = whole_number(0)(value)
    if 0 < size < LEAST_LOG:
        raise ValueError
    return size

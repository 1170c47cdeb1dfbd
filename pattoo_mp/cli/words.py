"""Counts, times, ages and rates as text."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pattoo_mp.util import text
from pattoo_mp.util.text import counted

_RATES: Final = ((1, "s"), (60, "min"), (3_600, "h"))
_ALMOST_ONE: Final = 0.995


def counts(by_reason: dict[str, int], unit: str) -> str:
    """The total, followed by the count for each reason: `7 polls (the spool is full: 5, …)`."""
    total = counted(sum(by_reason.values()), unit)
    if not by_reason:
        return total
    return f"{total} ({', '.join(f'{reason}: {count}' for reason, count in by_reason.items())})"


def moment(ms: int) -> str:
    """The time `ms` (since the epoch) in the host's time zone; "never" for 0."""
    if not ms:
        return "never"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def age(now_ms: int, then_ms: int) -> str:
    """The time from `then_ms` to `now_ms` (since the epoch); 0 if the clock was set back since."""
    return text.duration(max(0, now_ms - then_ms) / 1000)


def rate(count: float, seconds: float, unit: str) -> str:
    """`count` in `seconds` as a rate, per second, minute or hour, whichever gives at least 1."""
    if not count or not seconds:
        return counted(0, unit)
    unit_s, per = next((r for r in _RATES if count / seconds * r[0] >= _ALMOST_ONE), _RATES[-1])
    per_unit = count / seconds * unit_s
    shown = f"{per_unit:.2g}" if per_unit < 10 else f"{per_unit:.0f}"
    return f"{counted(shown, unit)}/{per}"

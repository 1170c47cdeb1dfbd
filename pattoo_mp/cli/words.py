"""Counts, moments and rates in words."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pattoo_mp.util import text
from pattoo_mp.util.text import counted

_RATES: Final = ((1, "s"), (60, "min"), (3_600, "h"))
_ALMOST_ONE: Final = 0.995


def counts(by_reason: dict[str, int], unit: str) -> str:
    """The sum, and each reason."""
    total = counted(sum(by_reason.values()), unit)
    if not by_reason:
        return total
    return f"{total} ({', '.join(f'{count} {reason}' for reason, count in by_reason.items())})"


def moment(ms: int) -> str:
    """A time (ms since the epoch) of the host's zone; 0 is never."""
    if not ms:
        return "never"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def age(now_ms: int, then_ms: int) -> str:
    """How long ago something was (both ms since the epoch); a clock may have been set back."""
    return text.duration(max(0, now_ms - then_ms) / 1000)


def rate(count: float, seconds: float, unit: str) -> str:
    """How often, in the unit of time that fits."""
    if not count or not seconds:
        return counted(0, unit)
    unit_s, per = next((r for r in _RATES if count / seconds * r[0] >= _ALMOST_ONE), _RATES[-1])
    often = count / seconds * unit_s
    told = f"{often:.2g}" if often < 10 else f"{often:.0f}"
    return f"{counted(told, unit)}/{per}"

"""Processor: frequency, shares of time, times, and the kernel's counters.

The shares compare with the question before: the first ones mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.timelimit import TimeLimited
from pattoo_mp.model import COUNTER64, FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Source


def _frequency(_: str) -> dict[str, float]:
    frequency = psutil.cpu_freq()
    if frequency is None:
        raise NotImplementedError("the kernel gives no processor frequency")
    return {"cpu_frequency": frequency.current}


class Shares:
    """What part of the processors' time went where since the question before, in percent.

    `psutil.cpu_times_percent` takes anything less than a second of processor time for a whole
    one, and so gives a fifth of the truth to two processors that are asked ten times a second.
    """

    def __init__(self) -> None:
        self._before: tuple[float, ...] = ()

    def ask(self) -> dict[str, float]:
        """The shares since the last call; all 0 at first, or if the kernel counted no time since."""
        now = psutil.cpu_times()
        before, self._before = self._before or now, now
        # The kernel sometimes takes back a little of its idle time.
        spent = {
            name: max(0.0, after - earlier)
            for name, after, earlier in zip(now._fields, now, before, strict=True)
        }
        # What the guests used is in `user` and `nice` already.
        whole = sum(time for name, time in spent.items() if not name.startswith("guest"))
        return {
            name: round(100 * time / whole, 1) if whole else 0.0 for name, time in spent.items()
        }


_SHARES = Shares()


def prime() -> None:
    """Begin the interval that the first poll's shares of time are measured over."""
    _SHARES.ask()


def sources(limit_s: float) -> tuple[Source, ...]:
    """All of them. The frequency, which may take seconds, is waited for `limit_s` at most.

    The others read what the kernel has at hand, and stay in the thread that polls.
    """
    frequency = TimeLimited("processor frequency", _frequency, limit_s)
    return (
        Fields("processor.frequency", lambda: frequency.ask_one("current"), "", FLOAT),
        Fields("processor.shares", _SHARES.ask, "cpu_times_percent_", FLOAT),
        Fields("processor.times", lambda: psutil.cpu_times()._asdict(), "cpu_times_", COUNTER64),
        Fields("processor.counters", lambda: psutil.cpu_stats()._asdict(), "cpu_stats_", COUNTER64),
    )

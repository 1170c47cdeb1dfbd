"""Uptime: how long the host has been running, from `/proc/uptime`, see proc(5)."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_UPTIME: Final = Table(
    "uptime", "Uptime", "uptime_", INTEGER,
    (
        Metric("seconds", INTEGER, "seconds", "Uptime",
               "Time since the host started, including time in suspend."),
        Metric("boot_time", INTEGER, "seconds", "Boot Time",
               "When the host started: seconds since 1970-01-01 UTC."),
    ),
    exported={
        "boot_time": Exported("node_boot_time_seconds"),
    },
)
# fmt: on

TABLES: Final = (_UPTIME,)


#: A difference of less than this (s) is one of rounding.
_ROUNDING_S: Final = 2.0
_LAST_DATE_S: Final = 1 << 40


def parse(line: str) -> float:
    """Return the uptime in seconds. Raises `ValueError`.

    >>> parse("600.25 1100.50")
    600.25
    """
    seconds = float(line.split(" ", maxsplit=1)[0])
    if not 0 <= seconds < _LAST_DATE_S:
        raise ValueError("/proc/uptime is not a number of seconds")
    return seconds


def kernel_boot_time(lines: str) -> int | None:
    r"""Return the boot time in `/proc/stat`, None if it has none.

    >>> kernel_boot_time("cpu 1 2\nbtime 1700000000\n")
    1700000000
    """
    found = host.numbers(lines).get("btime")
    return None if isinstance(found, Exception) else found


class BootTime:
    """The boot time that belongs to an uptime.

    `/proc/uptime` may be a container's while `/proc/stat` is the host's, as with LXC's lxcfs. So the
    boot time is calculated from the uptime. The kernel's, which does not vary by a second from poll to
    poll, is taken if it is about the same.
    """

    def __init__(self) -> None:
        self._known: int | None = None

    def at(self, uptime_s: float, now_s: float) -> int:
        """Return it as Unix time, given the time `now_s`. The same again while that is right."""
        calculated = now_s - uptime_s
        if self._known is None or abs(calculated - self._known) > _ROUNDING_S:
            kernels = self._kernels()
            is_ours = kernels is not None and abs(calculated - kernels) <= _ROUNDING_S
            self._known = kernels if is_ours else round(calculated)
        return self._known or 0

    def _kernels(self) -> int | None:
        try:
            return kernel_boot_time(host.proc("stat"))
        except OSError:
            return None


def _read(boot_time: BootTime) -> dict[str, int]:
    seconds = parse(host.proc("uptime"))
    return {"seconds": int(seconds), "boot_time": boot_time.at(seconds, time.time())}


def sources(_: Plan) -> tuple[Source, ...]:
    """The uptime and the boot time."""
    return (Fields(_UPTIME, partial(_read, BootTime())),)

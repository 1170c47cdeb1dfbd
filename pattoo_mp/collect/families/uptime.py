"""Uptime: how long the host has been running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
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
)
# fmt: on

TABLES: Final = (_UPTIME,)


def _read() -> dict[str, int]:
    seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    return {"seconds": int(seconds), "boot_time": int(psutil.boot_time())}


def sources(_: Plan) -> tuple[Source, ...]:
    """The uptime and the boot time."""
    return (Fields(_UPTIME, _read),)

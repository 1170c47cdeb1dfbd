"""System: processes and load."""

from __future__ import annotations

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.model import INTEGER


def _process_count() -> dict[str, int]:
    return {"process_count": len(psutil.pids())}


def _load_average() -> dict[str, float]:
    names = ("load_average_01min", "load_average_05min", "load_average_15min")
    return dict(zip(names, psutil.getloadavg(), strict=True))


SOURCES = (
    Fields("system.processes", _process_count, "", INTEGER),
    Fields("system.load", _load_average, "", INTEGER),
)

"""The bare psutil calls of one poll: the cost of any agent with the same values."""

from __future__ import annotations

import re
from typing import Any

import psutil

#: Disks that pattoo agents do not report.
_UNWANTED = re.compile(r"ram\d+$|loop")


def answers() -> dict[str, Any]:
    """Make all calls of a poll. Return, by prefix, a tuple, or one for each device."""
    usage = {
        mount: psutil.disk_usage(mount.mountpoint)
        for mount in psutil.disk_partitions()
        if "docker" not in mount.mountpoint
    }
    psutil.cpu_count()
    return {
        "process_count": (len(psutil.pids()),),
        "load_average": psutil.getloadavg(),
        "cpu_frequency": _frequency(),
        "cpu_times_percent": psutil.cpu_times_percent(),
        "cpu_times": psutil.cpu_times(),
        "cpu_stats": psutil.cpu_stats(),
        "memory": psutil.virtual_memory(),
        "swap_memory": psutil.swap_memory(),
        "disk_partition_disk_usage": usage,
        "disk_io": psutil.disk_io_counters(perdisk=True),
        "network_io": psutil.net_io_counters(pernic=True),
    }


def figures(all_answers: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Return each value with its key and device ("" for none)."""
    rows: list[tuple[str, str, float]] = []
    for prefix, answer in all_answers.items():
        devices = answer if isinstance(answer, dict) else {"": answer}
        for device, record in devices.items():
            names = getattr(record, "_fields", range(len(record)))
            rows += [
                (f"{prefix}_{name}", str(device), value)
                for name, value in zip(names, record, strict=True)
                if prefix != "disk_io" or not _UNWANTED.match(str(device))
            ]
    return rows


def _frequency() -> tuple[float, ...]:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return ()
    return (frequency.current,) if frequency else ()

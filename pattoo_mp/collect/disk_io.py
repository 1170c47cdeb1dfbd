"""Disk I/O, for each disk but RAM disks and loop devices."""

from __future__ import annotations

import re

import psutil

from pattoo_mp.collect.source import Devices
from pattoo_mp.model import COUNTER64

_UNWANTED = re.compile(r"ram\d+$|loop")


def _wanted(disk: str) -> bool:
    return not _UNWANTED.match(disk)


SOURCES = (
    Devices(
        "disk_io",
        lambda: psutil.disk_io_counters(perdisk=True),
        "disk_io_",
        COUNTER64,
        "disk_partition",
        _wanted,
    ),
)

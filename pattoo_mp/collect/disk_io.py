"""Disk I/O, for each disk but RAM disks and loop devices."""

from __future__ import annotations

import re
from typing import Final

import psutil

from pattoo_mp.collect.source import Devices
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64

# fmt: off
_DISK_IO: Final = Table(
    "disk_io", "Disk I/O", "disk_io_", COUNTER64,
    (
        Metric("read_count", COUNTER64, "reads", "Disk I/O (Read Count)",
               "Reads that were completed."),
        Metric("write_count", COUNTER64, "writes", "Disk I/O (Write Count)",
               "Writes that were completed."),
        Metric("read_bytes", COUNTER64, "bytes", "Disk I/O (Bytes Read)",
               "Bytes read."),
        Metric("write_bytes", COUNTER64, "bytes", "Disk I/O (Bytes Written)",
               "Bytes written."),
        Metric("read_time", COUNTER64, "milliseconds", "Disk I/O (Read Time)",
               "Time that reads took, added up: reads beside each other count each."),
        Metric("write_time", COUNTER64, "milliseconds", "Disk I/O (Write Time)",
               "Time that writes took, added up: writes beside each other count each."),
        Metric("read_merged_count", COUNTER64, "reads", "Disk I/O (Read Merged Count)",
               "Reads that were made one with a neighbour before the disk saw them."),
        Metric("write_merged_count", COUNTER64, "writes", "Disk I/O (Write Merged Count)",
               "Writes that were made one with a neighbour before the disk saw them."),
        Metric("busy_time", COUNTER64, "milliseconds", "Disk I/O (Busy Time)",
               "Time in which the disk had anything to do: 1000 a second is all of it."),
    ),
    (Label("disk_partition", "Disk or Partition", "The disk or partition, such as `sda` or `sda1`."),),
)
# fmt: on

TABLES: Final = (_DISK_IO,)

_UNWANTED = re.compile(r"ram\d+$|loop")


def _wanted(disk: str) -> bool:
    return not _UNWANTED.match(disk)


SOURCES = (Devices(_DISK_IO, lambda: psutil.disk_io_counters(perdisk=True), _wanted),)

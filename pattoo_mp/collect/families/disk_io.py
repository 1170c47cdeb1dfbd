"""Disk I/O, for each disk that the filters accept: by default all but RAM disks and loop devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Devices
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_DISK_IO: Final = Table(
    "disk_io", "Disk I/O", "disk_io_", COUNTER64,
    (
        Metric("read_count", COUNTER64, "reads", "Disk I/O (Read Count)",
               "Reads completed."),
        Metric("write_count", COUNTER64, "writes", "Disk I/O (Write Count)",
               "Writes completed."),
        Metric("read_bytes", COUNTER64, "bytes", "Disk I/O (Bytes Read)",
               "Bytes read."),
        Metric("write_bytes", COUNTER64, "bytes", "Disk I/O (Bytes Written)",
               "Bytes written."),
        Metric("read_time", COUNTER64, "milliseconds", "Disk I/O (Read Time)",
               "Sum of the time that each read took; concurrent reads all count."),
        Metric("write_time", COUNTER64, "milliseconds", "Disk I/O (Write Time)",
               "Sum of the time that each write took; concurrent writes all count."),
        Metric("read_merged_count", COUNTER64, "reads", "Disk I/O (Read Merged Count)",
               "Reads that were merged with an adjacent one before they reached the disk."),
        Metric("write_merged_count", COUNTER64, "writes", "Disk I/O (Write Merged Count)",
               "Writes that were merged with an adjacent one before they reached the disk."),
        Metric("busy_time", COUNTER64, "milliseconds", "Disk I/O (Busy Time)",
               "Time in which the disk was busy: 1000 per second is fully busy."),
    ),
    (Label("disk_partition", "Disk or Partition", "The disk or partition, such as `sda` or `sda1`."),),
)
# fmt: on

TABLES: Final = (_DISK_IO,)


def sources(plan: Plan) -> tuple[Source, ...]:
    """The counters of the disks and partitions that the filters accept."""
    return (
        Devices(
            _DISK_IO, lambda: psutil.disk_io_counters(perdisk=True), plan.filters.disks.accepts
        ),
    )

"""Disk I/O, for each disk that the filters accept: by default all but RAM disks and loop devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.families import _diskstats
from pattoo_mp.collect.families._diskstats import SECTOR_BYTES
from pattoo_mp.collect.host import OWN
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source

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
    (Label("disk_partition", "Disk or Partition", "The disk or partition, such as `sda` or `sda1`.", prometheus="device"),),
    exported={
        "read_count": Exported("node_disk_reads_completed_total"),
        "write_count": Exported("node_disk_writes_completed_total"),
        "read_bytes": Exported("node_disk_read_bytes_total"),
        "write_bytes": Exported("node_disk_written_bytes_total"),
        "read_time": Exported("node_disk_read_time_seconds_total", scale=1e-3),
        "write_time": Exported("node_disk_write_time_seconds_total", scale=1e-3),
        "read_merged_count": Exported("node_disk_reads_merged_total"),
        "write_merged_count": Exported("node_disk_writes_merged_total"),
        "busy_time": Exported("node_disk_io_time_seconds_total", scale=1e-3),
    },
)
# fmt: on

TABLES: Final = (_DISK_IO,)

#: psutil's name of each figure, its name in `_diskstats`, and a factor.
_FIGURES: Final = (
    ("read_count", "reads", 1),
    ("write_count", "writes", 1),
    ("read_bytes", "sectors_read", SECTOR_BYTES),
    ("write_bytes", "sectors_written", SECTOR_BYTES),
    ("read_time", "read_ms", 1),
    ("write_time", "write_ms", 1),
    ("read_merged_count", "reads_merged", 1),
    ("write_merged_count", "writes_merged", 1),
    ("busy_time", "busy_ms", 1),
)


def read() -> dict[str, Row]:
    """Return the figures of each disk, with an exception for one whose line is damaged.

    Raises `OSError`, and `NotImplementedError` if the kernel hides its disks.
    """
    try:
        return _diskstats.select(_diskstats.read(), _FIGURES)
    except FileNotFoundError:
        # Some containers hide the file. psutil then walks /sys/block, which may not be the host's.
        if OWN.sysfs != host.SYS:
            raise
        found = psutil.disk_io_counters(perdisk=True, nowrap=False)
        return {name: counters._asdict() for name, counters in found.items()}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The counters of the disks and partitions that the filters accept."""
    return (Rows(_DISK_IO, read, "the kernel reports no disk", plan.filters.disks.accepts),)

"""The queue of each disk: requests in flight, the time that they waited, discards and flushes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families import _diskstats
from pattoo_mp.collect.families._diskstats import SECTOR_BYTES
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source

# fmt: off
_QUEUE: Final = Table(
    "disk_queue", "Disk queue", "disk_queue_", COUNTER64,
    (
        Metric("in_flight", INTEGER, "requests", "Disk Requests in Flight",
               "Requests given to the disk and not completed yet."),
        Metric("weighted_time", COUNTER64, "milliseconds", "Disk Time (Weighted)",
               "Sum of the time of all requests in flight: 1000 per second is a queue of 1 request."),
        Metric("discard_count", COUNTER64, "discards", "Disk Discards",
               "Discards (TRIM) completed; Linux 4.18 and later."),
        Metric("discard_merged_count", COUNTER64, "discards", "Disk Discards (Merged)",
               "Discards that were merged with an adjacent one before they reached the disk."),
        Metric("discard_bytes", COUNTER64, "bytes", "Disk Bytes Discarded",
               "Bytes discarded."),
        Metric("discard_time", COUNTER64, "milliseconds", "Disk Discard Time",
               "Sum of the time that each discard took."),
        Metric("flush_count", COUNTER64, "flushes", "Disk Flushes",
               "Flushes of the disk's cache completed; counted for whole disks; Linux 5.5 and later."),
        Metric("flush_time", COUNTER64, "milliseconds", "Disk Flush Time",
               "Sum of the time that each flush took."),
    ),
    (Label("disk_queue_disk", "Disk or Partition (Queue)",
           "The disk or partition, such as `sda` or `sda1`.", prometheus="device"),),
    exported={
        "in_flight": Exported("node_disk_io_now"),
        "weighted_time": Exported("node_disk_io_time_weighted_seconds_total", scale=1e-3),
        "discard_count": Exported("node_disk_discards_completed_total"),
        "discard_merged_count": Exported("node_disk_discards_merged_total"),
        "discard_bytes": Exported("node_disk_discarded_sectors_total", scale=1 / 512),
        "discard_time": Exported("node_disk_discard_time_seconds_total", scale=1e-3),
        "flush_count": Exported("node_disk_flush_requests_total"),
        "flush_time": Exported("node_disk_flush_requests_time_seconds_total", scale=1e-3),
    },
)
# fmt: on

TABLES: Final = (_QUEUE,)

#: The name of each figure here, its name in `_diskstats`, and a factor.
_FIGURES: Final = (
    ("in_flight", "in_flight", 1),
    ("weighted_time", "weighted_ms", 1),
    ("discard_count", "discards", 1),
    ("discard_merged_count", "discards_merged", 1),
    ("discard_bytes", "sectors_discarded", SECTOR_BYTES),
    ("discard_time", "discard_ms", 1),
    ("flush_count", "flushes", 1),
    ("flush_time", "flush_ms", 1),
)


def _read() -> dict[str, Row]:
    return _diskstats.select(_diskstats.read(), _FIGURES)


def sources(plan: Plan) -> tuple[Source, ...]:
    """The queues of the disks and partitions that the filters accept."""
    return (Rows(_QUEUE, _read, "the kernel reports no disk", plan.filters.disks.accepts),)

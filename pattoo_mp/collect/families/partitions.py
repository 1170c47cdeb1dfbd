"""Disk partitions: how full each mounted file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Mounted
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Record, Source

# fmt: off
_USAGE: Final = Table(
    "disk_partitions", "Disk usage", "disk_partition_disk_usage_", INTEGER,
    (
        Metric("total", INTEGER, "bytes", "Disk Size",
               "Size of the file system."),
        Metric("used", INTEGER, "bytes", "Disk Used",
               "Space in use."),
        Metric("free", INTEGER, "bytes", "Disk Free",
               "Space that programs can still use; excludes space reserved for root."),
        Metric("percent", INTEGER, "percent", "Disk Percentage Utilization",
               "Space in use, as a percentage of the space that programs can use."),
    ),
    (
        Label("disk_partition_device", "Device",
              "The device, such as `/dev/sda1`.", prometheus="device"),
        Label("disk_partition_mountpoint", "Mount Point",
              "The directory where it is mounted.", prometheus="mountpoint"),
        Label("disk_partition_fstype", "Filesystem Type",
              "The type of the file system, such as `ext4`.", prometheus="fstype"),
        Label("disk_partition_opts", "Partition Options",
              "The mount options."),
    ),
    exported={
        "total": Exported("node_filesystem_size_bytes"),
        "free": Exported("node_filesystem_avail_bytes"),
    },
)
# fmt: on

TABLES: Final = (_USAGE,)


def _usage(mountpoint: str) -> Record:
    usage: Record = psutil.disk_usage(mountpoint)
    return usage


def sources(plan: Plan) -> tuple[Source, ...]:
    """The usage of each mount that the filters accept."""
    return (Mounted(_USAGE, _usage, plan),)

"""Disk partitions: how full each mounted file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Mounted
from pattoo_mp.collect.table import Label, Metric, Table
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
               "What is used of it."),
        Metric("free", INTEGER, "bytes", "Disk Free",
               "What programs can still use; less than the rest, as some is kept for root."),
        Metric("percent", INTEGER, "percent", "Disk Percentage Utilization",
               "The part in use of what programs can use at all."),
    ),
    (
        Label("disk_partition_device", "Device",
              "The device, such as `/dev/sda1`."),
        Label("disk_partition_mountpoint", "Mount Point",
              "The directory that it is mounted at."),
        Label("disk_partition_fstype", "Filesystem Type",
              "The type of the file system, such as `ext4`."),
        Label("disk_partition_opts", "Partition Options",
              "The options that it is mounted with."),
    ),
)
# fmt: on

TABLES: Final = (_USAGE,)


def _usage(mountpoint: str) -> Record:
    usage: Record = psutil.disk_usage(mountpoint)
    return usage


def sources(plan: Plan) -> tuple[Source, ...]:
    """How full each mount is."""
    return (Mounted(_USAGE, _usage, plan),)

"""Inodes: how many files each mounted file system has, and how many it can hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.collect.source import Mounted
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_INODES: Final = Table(
    "inodes", "Inodes", "inodes_", INTEGER,
    (
        Metric("total", INTEGER, "inodes", "Inodes",
               "Files and directories that the file system can hold."),
        Metric("used", INTEGER, "inodes", "Inodes (Used)",
               "Files and directories that exist."),
        Metric("free", INTEGER, "inodes", "Inodes (Free)",
               "Inodes that are left for programs not run by root."),
        Metric("percent", FLOAT, "percent", "Inodes (Percent)",
               "Percentage in use. At 100 no file can be created, even with free disk space."),
    ),
    (
        Label("inodes_device", "Device (Inodes)", "The device, such as `/dev/sda1`.", prometheus="device"),
        Label("inodes_mountpoint", "Mount Point (Inodes)",
              "The directory where it is mounted.", prometheus="mountpoint"),
        Label("inodes_fstype", "Filesystem Type (Inodes)",
              "The type of the file system, such as `ext4`.", prometheus="fstype"),
    ),
    exported={
        "total": Exported("node_filesystem_files"),
    },
)
# fmt: on

TABLES: Final = (_INODES,)


class Inodes(NamedTuple):
    """The inodes of one file system."""

    total: int
    used: int
    free: int
    percent: float


def inode_usage(total: int, unused: int, free: int) -> Inodes | None:
    """Return the usage, given `f_files`, `f_ffree` and `f_favail` of statvfs(3).

    None if the file system has no fixed number of inodes and reports 0, like btrfs and vfat.
    """
    if total <= 0:
        return None
    used = total - unused
    return Inodes(total, used, free, round(100 * used / total, 1))


def _read(mountpoint: str) -> Inodes | None:
    status = os.statvfs(mountpoint)
    return inode_usage(status.f_files, status.f_ffree, status.f_favail)


def sources(plan: Plan) -> tuple[Source, ...]:
    """The inodes of each mount that the filters accept."""
    return (Mounted(_INODES, _read, plan),)

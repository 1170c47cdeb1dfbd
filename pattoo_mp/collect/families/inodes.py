"""Inodes: how many files each mounted file system has, and may have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.collect.source import Mounted
from pattoo_mp.collect.table import Label, Metric, Table
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
               "Files and directories that it holds."),
        Metric("free", INTEGER, "inodes", "Inodes (Free)",
               "What is left of them for programs that are not root's."),
        Metric("percent", FLOAT, "percent", "Inodes (Percent)",
               "The part in use. At 100 no file can be made, however much room there is."),
    ),
    (
        Label("inodes_device", "Device (Inodes)", "The device, such as `/dev/sda1`."),
        Label("inodes_mountpoint", "Mount Point (Inodes)",
              "The directory that it is mounted at."),
        Label("inodes_fstype", "Filesystem Type (Inodes)",
              "The type of the file system, such as `ext4`."),
    ),
)
# fmt: on

TABLES: Final = (_INODES,)


class Inodes(NamedTuple):
    """What a file system tells of its inodes."""

    total: int
    used: int
    free: int
    percent: float


def counted(total: int, unused: int, free: int) -> Inodes | None:
    """Of statvfs(3): `f_files`, `f_ffree` and `f_favail`.

    None where the file system has no fixed number of them, as btrfs and vfat: it tells 0.
    """
    if total <= 0:
        return None
    used = total - unused
    return Inodes(total, used, free, round(100 * used / total, 1))


def _ask(mountpoint: str) -> Inodes | None:
    told = os.statvfs(mountpoint)
    return counted(told.f_files, told.f_ffree, told.f_favail)


def sources(plan: Plan) -> tuple[Source, ...]:
    """For each mount that is wanted."""
    return (Mounted(_INODES, _ask, plan),)

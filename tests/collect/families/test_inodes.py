"""The inodes of mounted file systems."""

from __future__ import annotations

import os
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from pattoo_mp.collect.families.inodes import inode_usage
from pattoo_mp.collect.filters import Filter
from tests.support.hosts import polled

Mount = namedtuple("Mount", "device mountpoint fstype opts")


@pytest.fixture(autouse=True)
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[Mount]:
    """Simulate a host with one working mount, and one whose mount point is gone."""
    mounts = [Mount("/dev/sda1", "/", "ext4", "rw"), Mount("/dev/sdb1", "/gone", "xfs", "rw")]

    def statvfs(path: str) -> SimpleNamespace:
        if path == "/gone":
            raise FileNotFoundError(2, "No such file or directory", path)
        return SimpleNamespace(f_files=1000, f_ffree=250, f_favail=200)

    monkeypatch.setattr(psutil, "disk_partitions", lambda: mounts)
    monkeypatch.setattr(os, "statvfs", statvfs)
    return mounts


def test_each_file_system_reports_its_inodes() -> None:
    """Free inodes exclude those reserved for root; a mount that fails is noted."""
    poll = polled("inodes")
    assert poll.by("inodes_mountpoint") == {
        "/": {
            "inodes_total": 1000, "inodes_used": 750, "inodes_free": 200, "inodes_percent": 75.0,
        }
    }  # fmt: skip
    assert list(poll.left_out) == ["inodes /gone"]


def test_a_mount_is_identified_by_device_mount_point_and_type() -> None:
    """Not by its options: a remount with other options starts no new chart."""
    (metadata,) = {series.metadata[:3] for series in polled("inodes").series}
    assert metadata == (
        ("inodes_device", "/dev/sda1"),
        ("inodes_mountpoint", "/"),
        ("inodes_fstype", "ext4"),
    )


def test_filtered_mounts_are_not_read() -> None:
    """Filtered by mount point or by type."""
    assert polled("inodes", filesystems=Filter(("xfs",))).series == {}
    poll = polled("inodes", mounts=Filter(("*",), ("*/gone",)))
    assert (bool(poll.series), poll.left_out) == (True, {})


def test_a_file_system_without_a_fixed_number_of_inodes_is_omitted() -> None:
    """Btrfs and vfat report 0: they cannot run out of inodes."""
    assert inode_usage(0, 0, 0) is None
    assert inode_usage(1000, 250, 200) == (1000, 750, 200, 75.0)

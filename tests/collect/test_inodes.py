"""Inodes of mounted file systems."""

from __future__ import annotations

import os
from collections import namedtuple
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect.inodes import counted
from pattoo_mp.collect.wanted import Filter
from tests.support.hosts import polled

if TYPE_CHECKING:
    from pathlib import Path

Mount = namedtuple("Mount", "device mountpoint fstype opts")


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mount]:
    """A host with a file system here, and one that is gone."""
    mounts = [
        Mount("/dev/sda1", str(tmp_path), "ext4", "rw"),
        Mount("/dev/sdb1", str(tmp_path / "gone"), "xfs", "rw"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda: mounts)
    return mounts


def test_each_file_system_tells_its_inodes(mounts: list[Mount]) -> None:
    """As statvfs does; and one that cannot be asked is named."""
    told = polled("inodes")
    here = os.statvfs(mounts[0].mountpoint)
    figures = told.by("inodes_mountpoint")[mounts[0].mountpoint]
    assert figures["inodes_total"] == here.f_files
    assert set(figures) == {f"inodes_{name}" for name in ("total", "used", "free", "percent")}
    assert list(told.left_out) == [f"inodes {mounts[1].mountpoint}"]


def test_a_mount_is_known_by_device_place_and_type(mounts: list[Mount]) -> None:
    """Not by its options: to mount it anew with others begins no new chart."""
    (metadata,) = {series.metadata[:3] for series in polled("inodes").series}
    assert metadata == (
        ("inodes_device", "/dev/sda1"),
        ("inodes_mountpoint", mounts[0].mountpoint),
        ("inodes_fstype", "ext4"),
    )


def test_what_is_not_wanted_is_not_asked(mounts: list[Mount]) -> None:
    """By its place or by its type."""
    assert polled("inodes", filesystems=Filter(("xfs",))).series == {}
    told = polled("inodes", mounts=Filter(("*",), ("*/gone",)))
    assert (bool(told.series), told.left_out) == (True, {})
    assert len(mounts) == 2


def test_a_file_system_without_a_fixed_number_of_inodes_is_none() -> None:
    """Btrfs and vfat tell 0: there is nothing to run out of."""
    assert counted(0, 0, 0) is None
    assert counted(1000, 250, 200) == (1000, 750, 200, 75.0)

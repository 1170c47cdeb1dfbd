"""Inodes of mounted file systems."""

from __future__ import annotations

import os
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from pattoo_mp.collect.families.inodes import counted
from pattoo_mp.collect.filters import Filter
from tests.support.hosts import polled

Mount = namedtuple("Mount", "device mountpoint fstype opts")


@pytest.fixture(autouse=True)
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[Mount]:
    """A host with a file system, and one whose place is gone."""
    mounts = [Mount("/dev/sda1", "/", "ext4", "rw"), Mount("/dev/sdb1", "/gone", "xfs", "rw")]

    def ask(path: str) -> SimpleNamespace:
        if path == "/gone":
            raise FileNotFoundError(2, "No such file or directory", path)
        return SimpleNamespace(f_files=1000, f_ffree=250, f_favail=200)

    monkeypatch.setattr(psutil, "disk_partitions", lambda: mounts)
    monkeypatch.setattr(os, "statvfs", ask)
    return mounts


def test_each_file_system_tells_its_inodes() -> None:
    """What is left is what programs that are not root's can have; who does not answer is named."""
    told = polled("inodes")
    assert told.by("inodes_mountpoint") == {
        "/": {
            "inodes_total": 1000, "inodes_used": 750, "inodes_free": 200, "inodes_percent": 75.0,
        }
    }  # fmt: skip
    assert list(told.left_out) == ["inodes /gone"]


def test_a_mount_is_known_by_device_place_and_type() -> None:
    """Not by its options: to mount it anew with others begins no new chart."""
    (metadata,) = {series.metadata[:3] for series in polled("inodes").series}
    assert metadata == (
        ("inodes_device", "/dev/sda1"),
        ("inodes_mountpoint", "/"),
        ("inodes_fstype", "ext4"),
    )


def test_what_is_not_wanted_is_not_asked() -> None:
    """By its place or by its type."""
    assert polled("inodes", filesystems=Filter(("xfs",))).series == {}
    told = polled("inodes", mounts=Filter(("*",), ("*/gone",)))
    assert (bool(told.series), told.left_out) == (True, {})


def test_a_file_system_without_a_fixed_number_of_inodes_is_none() -> None:
    """Btrfs and vfat tell 0: there is nothing to run out of."""
    assert counted(0, 0, 0) is None
    assert counted(1000, 250, 200) == (1000, 750, 200, 75.0)

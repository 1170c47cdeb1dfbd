"""Mounts that are hidden under others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.mount_tree import MountTree, parse_mountinfo
from tests.support.apart import run_with_mounts
from tests.support.hosts import polled


def tree(*lines: str) -> MountTree:
    """Those of `ID PARENT NUMBER MOUNTPOINT DEVICE`."""
    rows = (line.split(" ") for line in lines)
    return MountTree(
        parse_mountinfo("".join(f"{i} {p} {n} / {m} rw - ext4 {d} rw\n" for i, p, n, m, d in rows))
    )


def number_at(mounts: MountTree, path: str) -> str:
    """The number of the file system that a path leads to."""
    found = mounts.visible(path)
    return found.number if found else ""


def test_every_field_of_mountinfo_is_read() -> None:
    """With none, one or several optional fields, and names with blanks, tabs, line ends and backslashes."""
    (none, several) = parse_mountinfo(
        "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "3 2 8:2 /@ /a\\040\\011\\012\\134b\\040 rw shared:1 master:2 - btrfs a\\043b rw,subvol=/@\n"
        "damaged\n"
    )
    assert tuple(none) == ("2", "1", "8:1", "/", "/dev/sda1")
    assert tuple(several) == ("3", "2", "8:2", "/a \t\n\\b ", "a#b")


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/", "8:1"),
        ("/x", "8:3"),
        ("/x/y", "8:3"),
        ("/xy", "8:1"),
        ("/z", "0:9"),
        ("/z/disk", "0:9"),
    ],
)
def test_a_path_leads_to_the_uppermost_mount(path: str, number: str) -> None:
    """Of two at one place the upper one; under a mount over a directory nothing of what was there."""
    mounts = tree(
        "10 1 8:1 / /dev/sda1", "11 10 8:2 /x /dev/sdb1", "12 11 8:3 /x /dev/sdc1",
        "13 10 8:4 /z/disk /dev/sdd1", "14 10 0:9 /z tmpfs",
    )  # fmt: skip
    assert number_at(mounts, path) == number


def test_a_mount_over_the_root_is_not_seen() -> None:
    """A process keeps its root."""
    mounts = tree("10 1 8:1 / /dev/sda1", "11 10 0:9 / tmpfs", "12 10 8:2 /x /dev/sdb1")
    assert number_at(mounts, "/") == "8:1"
    assert number_at(mounts, "/x") == "8:2"


def test_a_process_in_a_directory_without_a_mount_sees_what_is_below() -> None:
    """After chroot(2) the mount of its root is not listed."""
    mounts = tree("11 10 8:2 /x /dev/sdb1", "12 11 8:3 /x/y /dev/sdc1")
    assert number_at(mounts, "/x/y/z") == "8:3"
    assert mounts.visible("/w") is None


def test_the_order_decides_where_the_kernel_gives_no_tree() -> None:
    """As in a `mounts` file alone."""
    mounts = MountTree.in_order(
        [("/dev/sda1", "/"), ("/dev/sdb1", "/x/y"), ("/dev/sdc1", "/x"), ("/dev/sdd1", "/x/z")]
    )
    assert number_at(mounts, "/x/y") == "/dev/sdc1"
    assert number_at(mounts, "/x/z") == "/dev/sdd1"


def test_the_tree_agrees_with_the_kernel_on_every_mount_here() -> None:
    """Each path of this host leads where `st_dev` says, except on btrfs, which has numbers of its own."""
    entries = parse_mountinfo(host.proc("self/mountinfo"))
    mounts = MountTree(entries)
    checked = 0
    for entry in entries:
        try:
            device = Path(entry.mountpoint).stat().st_dev
        except OSError:
            continue
        found = mounts.visible(entry.mountpoint)
        assert found
        major, minor = map(int, found.number.split(":"))
        if found.device.startswith("/dev/"):
            continue  # it may be btrfs
        assert (device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00) == (major, minor)
        checked += 1
    assert checked


#: Sizes of the disks differ, so that each figure names its file system.
PROGRAM = """
import json, logging, subprocess, sys
from pathlib import Path
from pattoo_mp.collect.host import HostPaths
from tests.support.hosts import polled
work = Path(sys.argv[1])
def run(*command):
    subprocess.run(command, check=True)
def disk(name, megabytes):
    image = work / f"{name}.image"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-m", "0", "-N", str(megabytes * 16), image)
    return image
def mount(image, place):
    place.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", "loop", image, place)
lower, upper, third = disk("lower", 8), disk("upper", 24), disk("third", 16)
same, parent, moved, bound = (work / name for name in ("same", "parent", "moved", "bound "))
mount(lower, same); mount(upper, same)
mount(third, parent / "disk"); run("mount", "-t", "tmpfs", "-o", "size=5g", "tmpfs", parent)
mount(lower, work / "first"); mount(third, moved)
run("mount", "--move", work / "first", moved)
bound.mkdir(); run("mount", "--bind", moved, bound)
# With another sysfs_path the host's paths are taken for others than the agent's own.
paths = HostPaths(sysfs=work) if sys.argv[2] == "elsewhere" else HostPaths()
logging.disable()
told = polled("partitions", "inodes", paths=paths)
def short(name):
    return name.replace(str(work), "")
sizes = {}
for series, value in told.series.items():
    labels = dict(series.metadata)
    if series.key in ("disk_partition_disk_usage_total", "inodes_total"):
        place = labels.get("disk_partition_mountpoint") or labels["inodes_mountpoint"]
        if place.startswith(str(work)):
            sizes.setdefault(short(place), []).append(value)
left_out = {short(name): short(why) for name, why in told.left_out.items() if str(work) in name}
print(json.dumps([sizes, left_out]))
"""


def in_a_namespace(work: Path, paths: str) -> Any:  # noqa: ANN401 - what JSON gives
    """What the program prints, in a mount namespace of its own; a reason where that is not possible."""
    own_processes = ("--pid", "--fork", "--kill-child", "--mount-proc")
    done = run_with_mounts(work, PROGRAM, str(work), paths, options=own_processes)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("paths", ["own", "elsewhere"])
def test_a_hidden_mount_is_left_out_and_never_has_the_figures_of_the_upper_one(
    tmp_path: Path, paths: str
) -> None:
    """At one place, under a mount over the directory above, and where mounts were moved."""
    sizes, left_out = in_a_namespace(tmp_path, paths)
    assert sizes.keys() == {"/same", "/moved", "/bound "}
    for place, megabytes in {"/same": 24, "/moved": 8, "/bound ": 8}.items():
        total, inodes = sizes[place]
        assert megabytes * 0.7 < total / (1 << 20) <= megabytes, place
        assert 128 <= inodes <= megabytes * 32, place
    assert left_out.keys() == {
        f"{family} {place}"
        for family in ("disk_partitions", "inodes")
        for place in ("/same", "/parent/disk", "/moved")
    }
    if paths == "own":
        assert left_out["disk_partitions /parent/disk"].endswith(
            "is hidden at /parent/disk: tmpfs is mounted over it at /parent"
        )


def test_a_list_without_a_tree_is_polled_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before Linux 2.6.26."""
    (tmp_path / "self").mkdir()
    (tmp_path / "filesystems").write_text("\text4\n")
    (tmp_path / "self" / "mounts").write_text(
        "/dev/a / ext4 rw 0 0\n/dev/b /tmp ext4 rw 0 0\n/dev/c /tmp ext4 rw 0 0\n"
    )
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    told = polled("partitions")
    assert told.by("disk_partition_device").keys() == {"/dev/a", "/dev/c"}
    assert told.left_out == {
        "disk_partitions /tmp": "/dev/b is hidden at /tmp: /dev/c is mounted over it at /tmp"
    }

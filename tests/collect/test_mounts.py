"""The host's mounts, and the list of them that is kept until it changes."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.collect.mounts import (
    CachedMounts,
    HostMounts,
    Mount,
    mount_access,
    on_devices,
    own_mounts,
    own_table,
    parse,
)
from tests.support.apart import run_with_mounts
from tests.support.hosts import polled


class Played:
    """A fake /proc of a host and of a container on it."""

    def __init__(self, procfs: Path) -> None:
        self.procfs = procfs
        for process in ("1", "self"):
            (procfs / process).mkdir(parents=True)
        (procfs / "filesystems").write_text("nodev\tproc\n\text4\n\tbtrfs\nnodev\tzfs\n")

    def mounts(self, *lines: str) -> None:
        """Set the mounts of the host."""
        (self.procfs / "1" / "mounts").write_text("".join(f"{line} 0 0\n" for line in lines))

    def own(self, *lines: str) -> None:
        """Set the mounts of the container."""
        (self.procfs / "self" / "mounts").write_text("".join(f"{line} 0 0\n" for line in lines))


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Return a fake /proc that psutil reads."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"), raising=False)
    return Played(tmp_path / "proc")


@pytest.fixture
def mounts() -> HostMounts:
    """Return the mounts of a host whose root is at /host."""
    return HostMounts(Path("/host"))


def test_of_our_own_mounts_the_list_is_psutils() -> None:
    """In its order, with its names, formats and choice of types."""
    fstypes = on_devices(host.proc("filesystems"))
    own = [tuple(m) for m in parse(host.proc("self/mounts")) if m.fstype in fstypes]
    # Some releases have more than these four fields.
    assert own == [tuple(m)[:4] for m in psutil.disk_partitions() if m.device != "/dev/root"]


def test_a_line_that_is_no_type_of_file_system_costs_no_other() -> None:
    """Each line of the list has two fields."""
    assert on_devices("\t\text4\n\n\txfs\tx\nnodev\n\text4\n") == {"ext4"}


def test_names_are_unescaped() -> None:
    """Blanks, line ends, backslashes; and bytes that are not UTF-8 are kept."""
    name = os.fsdecode(b"/a\xff")
    assert parse(f"/dev/x\\040y {name}\\011b\\012c\\134d ext4 rw 0 0\n") == [
        Mount("/dev/x y", f"{name}\tb\nc\\d", "ext4", "rw")
    ]


def test_only_mounts_on_a_device_are_listed(played: Played, mounts: HostMounts) -> None:
    """As psutil chooses. zfs counts too, although it has no device."""
    played.mounts(
        "/dev/sda1 / ext4 rw", "proc /proc proc rw", "pool /srv zfs rw", "none /x ext4 rw",
    )  # fmt: skip
    played.own()
    assert [mount.mountpoint for mount in mounts.list_mounts()] == ["/", "/srv"]


def test_a_mount_is_queried_below_the_hosts_root(played: Played, mounts: HostMounts) -> None:
    """If the agent's own table has the same device there."""
    played.mounts("/dev/sda1 / ext4 rw", "/dev/sdb1 /srv ext4 rw")
    played.own("overlay / overlay rw", "/dev/sda1 /host ext4 ro", "/dev/sdb1 /host/srv ext4 ro")
    listed = mounts.list_mounts()
    assert [mounts.path_of(m.device, m.mountpoint) for m in listed] == ["/host", "/host/srv"]


@pytest.mark.parametrize(
    "own",
    [
        ("/dev/sda1 /host ext4 ro",),
        ("/dev/sda1 /host ext4 ro", "/dev/sdc1 /host/srv ext4 ro"),
        ("/dev/sdb1 /host/srv ext4 ro", "tmpfs /host/srv tmpfs rw"),
    ],
)
def test_a_mount_that_the_container_does_not_have_is_left_out(
    played: Played, mounts: HostMounts, own: tuple[str, ...]
) -> None:
    """That path is in another file system, whose figures would be taken for those of the mount."""
    played.mounts("/dev/sda1 / ext4 rw", "/dev/sdb1 /srv ext4 rw")
    played.own(*own)
    mounts.list_mounts()
    with pytest.raises(FileNotFoundError, match="/dev/sdb1 is not mounted at /host/srv"):
        mounts.path_of("/dev/sdb1", "/srv")


def test_a_missing_mount_is_reported_and_the_rest_is_polled(played: Played) -> None:
    """Under the host's names: the prefix is not sent."""
    played.mounts(f"/dev/sda1 {played.procfs} ext4 rw,noatime", "/dev/sdb1 /srv ext4 rw")
    played.own(f"/dev/sda1 {played.procfs} ext4 ro")
    answer = polled("partitions", paths=HostPaths(played.procfs))
    assert answer.by("disk_partition_mountpoint").keys() == {str(played.procfs)}
    assert {dict(series.metadata)["disk_partition_opts"] for series in answer.series} == {
        "rw,noatime"
    }
    assert answer.left_out == {
        "disk_partitions /srv": "/dev/sdb1 is not mounted at /srv, where the host's would be"
    }


def test_without_paths_the_mounts_are_psutils() -> None:
    """At their own mount points."""
    list_mounts, path_of, table = mount_access(HostPaths())
    assert list_mounts() == psutil.disk_partitions()
    assert path_of("/dev/sda1", "/srv") == "/srv"
    assert table in {None, "/proc/self/mounts"}


def test_changes_are_those_of_the_hosts_table(tmp_path: Path) -> None:
    """Not those of the container's table."""
    assert mount_access(HostPaths(tmp_path)).table == f"{tmp_path}/1/mounts"


# The list of mounts is kept until the kernel signals a change.

#: Mounts a file system in a private namespace, and prints its entry in the list before, during,
#: after a remount, and after the unmount.
PROGRAM = """
import subprocess, sys
from pattoo_mp.collect.mounts import CachedMounts, own_mounts, own_table
place, disk = sys.argv[1:]
cached = CachedMounts(own_mounts, own_table())
def seen(*command):
    if command:
        subprocess.run(command, check=True)
    before = cached()
    assert cached() is before
    print([m.opts.split(",")[0] for m in before if m.mountpoint == place])
seen()
seen("mount", "-o", "loop", disk, place)
seen("mount", "-o", "remount,ro", place)
seen("umount", place)
"""


def test_the_same_list_is_given_again_while_nothing_changes() -> None:
    """The same object."""
    cached = CachedMounts(own_mounts, own_table(), lambda: 0.0)
    assert list(cached()) == psutil.disk_partitions()
    assert cached() is cached()


def test_the_list_is_read_again_after_some_time() -> None:
    """The kernel signals nothing when it makes a failing disk read-only."""
    now = [100.0]
    cached = CachedMounts(own_mounts, own_table(), lambda: now[0])
    first = cached()
    now[0] += 9.9
    assert cached() is first
    now[0] += 0.2
    assert cached() is not first


def test_a_failure_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised, and the next call tries again."""
    cached = CachedMounts(own_mounts, own_table(), lambda: 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "disk_partitions", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cached()
    assert list(cached()) == psutil.disk_partitions()


def test_a_mount_a_remount_and_an_unmount_are_seen_at_once(tmp_path: Path) -> None:
    """On a real file system, in a private mount namespace."""
    disk, place = tmp_path / "disk", tmp_path / "place"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    trial = f"mkfs.ext4 -q {disk}; mount -o loop {disk} {place}"
    done = run_with_mounts(tmp_path, PROGRAM, str(place), str(disk), trial=trial)
    assert (done.stderr, done.stdout.split()) == ("", ["[]", "['rw']", "['ro']", "[]"])

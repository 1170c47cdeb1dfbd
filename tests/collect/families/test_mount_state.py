"""Whether mounts are read-only, and mounts of file systems without a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.config.families import names_on
from tests.support.apart import run_with_mounts
from tests.support.hosts import polled

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = (
    "/dev/a / ext4 rw,relatime,errors=remount-ro 0 0\n/dev/b /ro ext4 ro,relatime 0 0\n"
    "tmpfs /run tmpfs rw,size=5g 0 0\nnone /none tmpfs rw 0 0\nnas:/x /nas nfs4 ro,vers=4.2 0 0\n"
    "sshfs /far fuse.sshfs rw 0 0\nproc /proc proc rw 0 0\n"
)


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc with these mounts, for the agent and for the host."""
    for process in ("self", "1"):
        (tmp_path / process).mkdir()
        (tmp_path / process / "mounts").write_text(MOUNTS)
    (tmp_path / "filesystems").write_text("nodev\tproc\nnodev\ttmpfs\nnodev\tnfs4\n\text4\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    return tmp_path


def states(**filters: Any) -> dict[str, int]:  # noqa: ANN401 - whatever a field holds
    """The state of each mount, by its mount point."""
    found = polled("mount_state", **filters).by("mount_state_mountpoint")
    return {place: figures["mount_state_read_only"] for place, figures in found.items()}  # type: ignore[misc]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_state_is_that_of_the_list(procfs: Path, *, elsewhere: bool) -> None:
    """`errors=remount-ro` is no state. Other options do not name the series."""
    paths = HostPaths(procfs=procfs) if elsewhere else HostPaths()
    assert states(paths=paths) == {"/": 0, "/ro": 1}
    (series, *_) = polled("mount_state", paths=paths).series
    assert [name for name, _ in series.metadata[:3]] == [
        "mount_state_device", "mount_state_mountpoint", "mount_state_fstype",
    ]  # fmt: skip


@pytest.mark.usefixtures("procfs")
def test_file_systems_without_a_device_are_polled_if_they_are_named() -> None:
    """By their types, in every family of mounts; an excluded type is not."""
    named = Filter(("tmpfs", "nfs*", "fuse.*"))
    assert states(without_device=named) == {
        "/": 0, "/ro": 1, "/run": 0, "/none": 0, "/nas": 1, "/far": 0,
    }  # fmt: skip
    assert states(without_device=Filter(("*",), ("nfs*", "proc"))).keys() == {
        "/", "/ro", "/run", "/none", "/far",
    }  # fmt: skip
    only = {"filesystems": Filter(("xfs",)), "without_device": Filter(("tmpfs",))}
    assert states(**only).keys() == {"/run", "/none"}
    assert states(mounts=Filter(("/n*",)), without_device=named).keys() == {"/none", "/nas"}
    places = polled("partitions", mounts=Filter(("/", "/run")), without_device=named)
    assert places.by("disk_partition_mountpoint").keys() == {"/", "/run"}


def test_the_host_of_a_container_has_such_file_systems_too(procfs: Path) -> None:
    """By the list of its first process."""
    found = states(paths=HostPaths(procfs=procfs), without_device=Filter(("nfs4",)))
    assert found == {"/": 0, "/ro": 1, "/nas": 1}


def test_neither_is_on_by_default() -> None:
    """The original agent has none of them."""
    assert "mount_state" not in names_on([], [])
    here = polled("partitions", "mount_state")
    types = {dict(s.metadata).get("disk_partition_fstype") for s in here.series}
    assert not types & {"tmpfs", "nfs", "nfs4", "cifs"}


#: Prints what was polled before, during and after a remount, of a disk and a tmpfs of known sizes.
PROGRAM = """
import json, logging, subprocess, sys
from pathlib import Path
from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.poller import Poller
from tests.support.hosts import again
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN
work = Path(sys.argv[1])
def run(*command):
    subprocess.run(command, check=True)
image = work / "image"
with image.open("wb") as file:
    file.truncate(8 << 20)
run("mkfs.ext4", "-q", image)
for name in ("disk", "memory"):
    (work / name).mkdir()
run("mount", "-o", "loop", image, work / "disk")
run("mount", "-t", "tmpfs", "-o", "size=3m,nr_inodes=77", "tmpfs", work / "memory")
sources = sources_of(
    "partitions", "inodes", "mount_state", mounts=Filter((f"{work}/*",)), without_device=Filter(("tmpfs",))
)
poller = Poller(sources, ORIGIN, 1000)
told = []
for command in (["true"], ["mount", "-o", "remount,ro", work / "disk"], ["umount", work / "memory"]):
    run(*command)
    figures = {}
    for series, value in again(poller).series.items():
        labels = dict(series.metadata)
        place = next(v for k, v in labels.items() if k.endswith("mountpoint"))
        figures.setdefault(Path(place).name, {})[series.key] = value
    told.append(figures)
print(json.dumps(told))
"""


def test_a_remount_and_a_tmpfs_are_seen_at_once(tmp_path: Path) -> None:
    """On real file systems, in a mount namespace of its own."""
    done = run_with_mounts(tmp_path, PROGRAM, str(tmp_path))
    assert not done.returncode, done.stderr
    before, after, last = json.loads(done.stdout)
    assert before["memory"]["disk_partition_disk_usage_total"] == 3 << 20
    assert before["memory"]["inodes_total"] == 77
    assert [told["disk"]["mount_state_read_only"] for told in (before, after, last)] == [0, 1, 1]
    assert before["memory"]["mount_state_read_only"] == 0
    assert "memory" not in last

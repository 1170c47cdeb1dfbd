"""The list of mounts: the same again until the kernel tells of a change."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect.mounts import Watched, listed, own_table

if TYPE_CHECKING:
    from pathlib import Path

#: Mounts a file system where only this process sees it, and prints what was listed before, with
#: it, after a remount, and without it.
PROGRAM = """
import subprocess, sys
from pattoo_mp.collect.mounts import Watched, listed, own_table
place, disk = sys.argv[1:]
watched = Watched(listed, own_table())
def seen(*command):
    if command:
        subprocess.run(command, check=True)
    before = watched()
    assert watched() is before
    print([m.opts.split(",")[0] for m in before if m.mountpoint == place])
seen()
seen("mount", "-o", "loop", disk, place)
seen("mount", "-o", "remount,ro", place)
seen("umount", place)
"""


def test_the_same_list_is_given_again_while_nothing_changes() -> None:
    """The very same: who made something of it need not do so again."""
    watched = Watched(listed, own_table(), lambda: 0.0)
    assert list(watched()) == psutil.disk_partitions()
    assert watched() is watched()


def test_psutil_is_asked_now_and_then_all_the_same() -> None:
    """A kernel that takes a failing disk read-only by itself tells nobody."""
    now = [100.0]
    watched = Watched(listed, own_table(), lambda: now[0])
    first = watched()
    now[0] += 9.9
    assert watched() is first
    now[0] += 0.2
    assert watched() is not first


def test_a_failure_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised, and the next look asks again."""
    watched = Watched(listed, own_table(), lambda: 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "disk_partitions", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watched()
    assert list(watched()) == psutil.disk_partitions()


def test_a_mount_a_remount_and_an_unmount_are_seen_at_once(tmp_path: Path) -> None:
    """On a real file system, in a mount namespace of its own."""
    disk, place = tmp_path / "disk", tmp_path / "place"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    apart = ["unshare", "--mount", "--propagation", "private"]
    tried = subprocess.run(
        [*apart, "sh", "-ec", f"mkfs.ext4 -q {disk}; mount -o loop {disk} {place}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    done = subprocess.run(
        [*apart, sys.executable, "-c", PROGRAM, str(place), str(disk)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stderr, done.stdout.split()) == ("", ["[]", "['rw']", "['ro']", "[]"])

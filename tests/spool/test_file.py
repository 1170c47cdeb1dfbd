"""The lock of a spool, when it cannot be taken or its process id cannot be written."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool import file as holding
from pattoo_mp.spool.file import acquire_lock
from tests.spool.polls import LAYOUTS, fill, poll, times
from tests.support.disks import fill as fill_disk
from tests.support.disks import small
from tests.support.spools import AMPLE, open_spool


@pytest.fixture(autouse=True)
def _no_wait_for_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a taken lock: it stays taken in these tests."""
    monkeypatch.setattr(holding, "_PREDECESSOR_S", 0.0)


def descriptors() -> set[str]:
    """Return the numbers of this process's open descriptors."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_a_failed_lock_closes_no_other_descriptor(home: Path) -> None:
    """The spool was removed and another agent made one there: each attempt fails and does no harm."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    for file in home.iterdir():
        file.unlink()
    lock = acquire_lock(home / "spool.sqlite.lock")
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    # A newly opened file gets the lowest free number.
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    for other in others:
        os.close(other)  # it is still open
    os.close(lock)
    assert fill(spool, 4, 4) == 1
    assert times(spool) == [1, 2, 3, 4]
    spool.close()


def test_another_agents_new_directory_is_not_written_to(home: Path) -> None:
    """Its lock has the same name as ours but is another file."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    for file in home.iterdir():
        file.unlink()
    other = open_spool(path, AMPLE)
    fill(other, 10, 12, "another")
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    other.append([(13, poll(13))], LAYOUTS, "another")
    assert times(other) == [10, 11, 12, 13]
    other.close()
    spool.close()


def test_a_full_disk_does_not_cost_the_lock(home: Path) -> None:
    """The lock is held, and can be released and taken again."""
    with small(home / "disk") as disk:
        (disk / "lock").touch()
        fill_disk(disk)
        for _ in range(2):
            held = acquire_lock(disk / "lock")
            with (disk / "lock").open() as another, pytest.raises(BlockingIOError):
                fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(held)


def test_a_spool_that_cannot_be_opened_leaves_nothing_open(home: Path) -> None:
    """Nor its lock, which would lock out the next attempt."""
    path = home / "spool.sqlite"
    path.mkdir()
    before = descriptors()
    for _ in range(2):
        with pytest.raises(SpoolError, match="Is a directory"):
            open_spool(path, AMPLE)
    assert descriptors() == before


def test_a_failed_lock_leaves_nothing_open(home: Path) -> None:
    """The same if another process has the lock."""
    held = acquire_lock(home / "lock")
    before = descriptors()
    with pytest.raises(SpoolError, match="another agent"):
        acquire_lock(home / "lock")
    assert descriptors() == before
    os.close(held)

"""Whose spool it is: the lock, where it cannot be taken or noted."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from pattoo_mp.errors import SpoolError
from pattoo_mp.spool import file as holding
from pattoo_mp.spool.file import acquire_lock
from pattoo_mp.spool.store import Spool
from tests.spool.polls import LAYOUTS, fill, poll, times
from tests.support.disks import fill as fill_disk
from tests.support.disks import small
from tests.support.spools import AMPLE


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another has is not waited for: it stays taken in these tests."""
    monkeypatch.setattr(holding, "_PREDECESSOR_S", 0.0)


def descriptors() -> set[str]:
    """What this process has open, by number."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_a_lock_that_is_not_to_be_had_closes_nobody_elses_descriptor(home: Path) -> None:
    """All of the spool was removed, and another agent began one there: each try fails, and harms nothing."""
    path = home / "spool.sqlite"
    spool = Spool(path, AMPLE)
    fill(spool, 1, 3)
    for file in home.iterdir():
        file.unlink()
    lock = acquire_lock(home / "spool.sqlite.lock")
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    # Whatever is opened now gets the lowest number that is free.
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    for other in others:
        os.close(other)  # each of them is still open
    os.close(lock)
    assert fill(spool, 4, 4) == 1
    assert times(spool) == [1, 2, 3, 4]
    spool.close()


def test_a_directory_that_another_agent_made_anew_is_not_written_to(home: Path) -> None:
    """Its lock is not the one that we hold, though it has the same name."""
    path = home / "spool.sqlite"
    spool = Spool(path, AMPLE)
    fill(spool, 1, 3)
    for file in home.iterdir():
        file.unlink()
    other = Spool(path, AMPLE)
    fill(other, 10, 12, "another")
    with pytest.raises(SpoolError, match="another agent"):
        fill(spool, 4, 4)
    other.append([(13, poll(13))], LAYOUTS, "another")
    assert times(other) == [10, 11, 12, 13]
    other.close()
    spool.close()


def test_a_disk_without_room_for_the_number_does_not_cost_the_lock(home: Path) -> None:
    """It is held, and can be given back and taken again."""
    with small(home / "disk") as disk:
        (disk / "lock").touch()
        fill_disk(disk)
        for _ in range(2):
            held = acquire_lock(disk / "lock")
            with (disk / "lock").open() as another, pytest.raises(BlockingIOError):
                fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(held)


def test_a_spool_that_cannot_be_opened_leaves_nothing_open(home: Path) -> None:
    """Neither its lock nor anything else: the next try must not be locked out by this one."""
    path = home / "spool.sqlite"
    path.mkdir()
    before = descriptors()
    for _ in range(2):
        with pytest.raises(SpoolError, match="Is a directory"):
            Spool(path, AMPLE)
    assert descriptors() == before


def test_a_lock_that_is_not_to_be_had_leaves_nothing_open(home: Path) -> None:
    """The same where another has it."""
    held = acquire_lock(home / "lock")
    before = descriptors()
    with pytest.raises(SpoolError, match="another agent"):
        acquire_lock(home / "lock")
    assert descriptors() == before
    os.close(held)

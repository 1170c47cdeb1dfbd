"""Recovery on a disk with little room or none."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.store import Spool, StorageError
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, times
from tests.support.disks import fill as fill_disk
from tests.support.disks import free_bytes, small
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLLS = 6000
POLL_BYTES = 2000
MB = 1_000_000
DISK_FULL = "the disk is nearly full"
NOTHING_FREE = limits_with(min_free_bytes=0)


@pytest.fixture
def disk(home: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    with small(home / "disk", "32m") as made:
        yield made


def filled(directory: Path) -> Path:
    """Make a spool of more than 12 MB."""
    path = directory / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    polls = [(n, Poll(LAYOUT.identifier, n, os.urandom(POLL_BYTES))) for n in range(1, POLLS + 1)]
    spool.append(polls, LAYOUTS, "c")
    spool.close()
    return path


def damaged(directory: Path) -> Path:
    """Make one that is readable except for its account."""
    path = filled(directory)
    damage(path)
    return path


def damage(path: Path) -> None:
    """Remove the account from the file, so that its copy is used."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")


def assert_newest_recovered(spool: Spool, at_least: int) -> None:
    """Assert that the newest polls are there, and the others are counted under the right reason."""
    saved = times(spool)
    assert at_least <= len(saved) < POLLS
    assert saved == list(range(POLLS + 1 - len(saved), POLLS + 1))
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].waiting) == (POLLS, len(saved))
    assert state.outputs[OUTPUT].dropped == {DISK_FULL: POLLS - len(saved)}


def in_child(action: Callable[[], None]) -> None:
    """Run the action in a child process, with separate limits."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def limit_files(size: int) -> None:
    """Limit the file size of this process; as with a quota, free space does not show it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def test_recovery_needs_no_more_room_than_the_spool(disk: Path) -> None:
    """No journal grows beside the new file: polls that fit once are all recovered."""
    path = damaged(disk)
    size = path.stat().st_size
    fill_disk(disk, but_for=size + 6 * MB)
    spool = open_spool(path, NOTHING_FREE)
    assert times(spool) == list(range(1, POLLS + 1))
    assert spool.account(OUTPUT).dropped.total() == 0
    spool.close()


def test_with_too_little_room_the_newest_polls_are_recovered(disk: Path) -> None:
    """The others are counted, and new polls are stored."""
    path = damaged(disk)
    fill_disk(disk, but_for=12 * MB)
    spool = open_spool(path, NOTHING_FREE)
    assert_newest_recovered(spool, 5 * MB // POLL_BYTES)
    assert not list(disk.glob("*.new*"))
    fill(spool, POLLS + 1, POLLS + 1, "another")
    assert times(spool)[-1] == POLLS + 1
    spool.close()


def test_recovery_leaves_min_free_bytes_free(disk: Path) -> None:
    """`min_free_bytes` stays free, except for the guaranteed size of a spool."""
    path = damaged(disk)
    free = free_bytes(disk)
    spool = open_spool(path, limits_with(min_free_bytes=free - 8 * MB))
    assert_newest_recovered(spool, 6 * MB // POLL_BYTES)
    assert free_bytes(disk) >= free - 9 * MB
    spool.close()


def test_recovery_is_bounded_by_max_bytes(disk: Path) -> None:
    """The limit was lowered while no agent ran; the reason is the usual one."""
    path = damaged(disk)
    spool = open_spool(path, limits_with(max_bytes=5 * MB, min_free_bytes=0))
    assert set(spool.account(OUTPUT).dropped) == {"the spool is full"}
    assert 4 * MB // POLL_BYTES < spool.account(OUTPUT).waiting < 5 * MB // POLL_BYTES
    assert path.stat().st_size < 6 * MB
    spool.close()


def test_without_room_for_a_useful_spool_the_old_file_waits(disk: Path) -> None:
    """The file is unchanged, the disk is not used, and the spool starts all the same."""
    path = damaged(disk)
    filler = fill_disk(disk, but_for=3 * MB)
    free = free_bytes(disk)
    spool = open_spool(path, NOTHING_FREE)
    for _ in range(2):
        with pytest.raises(StorageError, match="no room"):
            fill(spool, POLLS + 1, POLLS + 1, "another")
    assert not spool.account_loaded
    assert not list(disk.glob("*.new*"))
    assert free - free_bytes(disk) < MB  # the journal of an open spool takes some
    filler.unlink()
    assert fill(spool, POLLS + 1, POLLS + 1, "another") == 1
    assert spool.account_loaded
    assert times(spool) == list(range(1, POLLS + 2))
    assert spool.account(OUTPUT).dropped.total() == 0
    spool.close()


@pytest.mark.parametrize("kind", ["none", "sound", "damaged"])
def test_a_spool_starts_on_a_full_disk(disk: Path, kind: str) -> None:
    """Any file is opened once there is room. Until then its account is unknown."""
    path = disk / "spool.sqlite"
    if kind != "none":
        spool = open_spool(path, AMPLE)
        fill(spool, 1, 10)
        spool.close()
    if kind == "damaged":
        damage(path)
    filler = fill_disk(disk)
    spool = open_spool(path, AMPLE)
    assert not spool.account_loaded
    with pytest.raises(StorageError):
        fill(spool, 11, 12, "another")
    with pytest.raises(StorageError):
        spool.oldest(OUTPUT, 1)
    filler.unlink()
    assert fill(spool, 11, 12, "another") == 2
    assert times(spool) == list(range(11 if kind == "none" else 1, 13))
    assert spool.account(OUTPUT).dropped.total() == 0
    spool.close()


def test_a_failed_recovery_leaves_no_file(home: Path) -> None:
    """If the disk takes hardly anything, only the unchanged damaged file is left."""
    path = damaged(home)
    before = path.read_bytes()

    def recover() -> None:
        limit_files(2 * MB)
        spool = open_spool(path, AMPLE)
        assert not spool.account_loaded
        assert path.read_bytes() == before
        limit_files(100 * MB)
        with pytest.raises(StorageError, match="disk I/O error"):  # it does not retry at once
            spool.oldest(OUTPUT, 1)
        spool.close()

    in_child(recover)
    assert not list(home.glob("*.new*"))
    assert path.read_bytes() == before
    spool = open_spool(path, AMPLE)
    assert len(times(spool)) == POLLS
    spool.close()


def test_the_file_of_an_interrupted_recovery_is_removed(home: Path) -> None:
    """A kill left a partial new file, and the old one is sound: the I/O error was temporary."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    spool.close()
    (home / "spool.sqlite.new").write_bytes(bytes(4096))
    spool = open_spool(path, AMPLE)
    assert not list(home.glob("*.new*"))
    assert times(spool) == [1, 2, 3]
    spool.close()


def test_the_account_closes_if_polls_of_a_post_had_no_room(disk: Path) -> None:
    """They are counted as dropped, as in any full spool; the other polls of the post as delivered."""
    path = damaged(disk)
    spool = open_spool(path, NOTHING_FREE)
    under_way = spool.oldest(OUTPUT, EVERYTHING)
    fill_disk(disk, but_for=12 * MB)
    path.unlink()
    fill(spool, POLLS + 1, POLLS + 1, "another")
    dropped = spool.account(OUTPUT).dropped
    assert set(dropped) == {DISK_FULL}
    delivered = spool.acknowledge(OUTPUT, under_way[-1].id)
    state = spool.state
    assert delivered + dropped.total() == POLLS
    assert state.outputs[OUTPUT].dropped == dropped
    assert state.closes
    assert times(spool) == [POLLS + 1]
    spool.close()


def test_the_account_closes_if_the_spool_of_a_post_was_removed(disk: Path) -> None:
    """The damaged file had no room for recovery until its own removal; the server has its polls."""
    path = filled(disk)
    spool = open_spool(path, NOTHING_FREE)
    under_way = spool.oldest(OUTPUT, EVERYTHING)
    fill_disk(disk, but_for=3 * MB)
    with path.open("r+b") as file:
        half = file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * half)
    with pytest.raises(StorageError, match="no room"):
        spool.acknowledge(OUTPUT, under_way[-1].id)
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    assert spool.acknowledge(OUTPUT, under_way[-1].id) == POLLS
    state = spool.state
    assert (state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].dropped) == (POLLS, {})
    assert state.closes
    spool.close()
    spool = open_spool(path, NOTHING_FREE)
    assert spool.state == state
    spool.close()

"""The account and its limits, and the copy that knows what a damaged file has lost."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.account import AccountCopy, SpoolState
from pattoo_mp.spool.store import Spool
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, poll, times
from tests.support.spools import AMPLE, OUTPUT, account_of, limits_with, open_spool
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.store import Spool


DAMAGED = "the spool was damaged"


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file beside the spool by its suffix."""
    return path.with_name(path.name + suffix)


def used(path: Path) -> SpoolState:
    """Make a spool of thirty polls, ten of them delivered; return its account."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 30)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 10)[-1].id)
    state = spool.state
    spool.close()
    return state


@pytest.mark.parametrize("statement", ["DELETE FROM facts", "DROP TABLE facts"])
def test_a_file_without_facts_uses_the_copy(path: Path, statement: str) -> None:
    """No process knows the account, and it is missing in the file."""
    before = used(path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].waiting) == (
        30,
        10,
        20,
    )
    assert (state.newest_ms, state.book) == (before.newest_ms, before.book)
    assert state.outputs[OUTPUT].dropped.total() == 0
    assert times(spool) == list(range(11, 31))
    spool.close()


def test_polls_of_a_lost_journal_are_counted(path: Path, home: Path) -> None:
    """The file is sound but old: missing polls are counted, and delivered ones do not come back."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 20)
    spool.close()
    spool = open_spool(path, AMPLE)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 15)[-1].id)
    fill(spool, 21, 30)
    envelope_ms = spool.next_envelope_ms(OUTPUT, 1_000)
    # As after a kill, but without the journal.
    for suffix in ("", ".account"):
        shutil.copy(beside(path, suffix), home / f"copy.sqlite{suffix}")
    spool.close()
    spool = open_spool(home / "copy.sqlite", AMPLE)
    assert times(spool) == list(range(16, 21))
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].waiting) == (
        30,
        15,
        5,
    )
    assert state.outputs[OUTPUT].dropped == {DAMAGED: 10}
    assert spool.next_envelope_ms(OUTPUT, 1_000) > envelope_ms
    spool.close()


def test_polls_of_a_removed_spool_are_counted(path: Path) -> None:
    """The file was removed while no agent ran: its waiting polls are counted as dropped."""
    used(path)
    path.unlink()
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].waiting) == (
        30,
        10,
        0,
    )
    assert state.outputs[OUTPUT].dropped == {"the spool was removed": 20}
    assert fill(spool, 31, 31, "another") == 1
    assert times(spool) == [31]
    spool.close()


@pytest.mark.parametrize("suffixes", [[".account"], ["", "-wal", ".account"]])
def test_without_a_copy_the_file_counts(path: Path, suffixes: list[str]) -> None:
    """A missing copy costs an existing file nothing. Without both, the account starts at zero."""
    before = used(path)
    for suffix in suffixes:
        beside(path, suffix).unlink(missing_ok=True)
    spool = open_spool(path, AMPLE)
    expected = before if suffixes == [".account"] else account_of(commits=1)
    assert spool.state == expected
    spool.close()


def test_an_older_copy_is_ignored(path: Path) -> None:
    """After a kill between a commit and its copy, the file is ahead and counts."""
    used(path)
    old = beside(path, ".account").read_bytes()
    spool = open_spool(path, AMPLE)
    fill(spool, 31, 40)
    before = spool.state
    spool.close()
    beside(path, ".account").write_bytes(old)
    spool = open_spool(path, AMPLE)
    assert spool.state == before
    spool.close()


@pytest.mark.parametrize(("fact", "value"), [("kept", 27), ("delivered", 13), ("book", "{}")])
def test_a_changed_fact_is_rejected(path: Path, fact: str, value: int | str) -> None:
    """SQLite does not notice a changed byte in a value; the checksum does."""
    before = used(path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE facts SET value = ? WHERE name = ?", (value, fact))
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.book) == (
        before.kept,
        before.outputs[OUTPUT].delivered,
        before.book,
    )
    assert (state.outputs[OUTPUT].waiting, state.outputs[OUTPUT].dropped.total()) == (20, 0)
    spool.close()


def test_polls_missing_at_the_start_are_counted(path: Path) -> None:
    """A damaged page may hide polls without an error; the account shows how many are missing."""
    used(path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM polls WHERE timestamp_ms BETWEEN 15 AND 19")
    spool = open_spool(path, AMPLE)
    assert spool.account(OUTPUT).dropped == {DAMAGED: 5}
    assert len(times(spool)) == 15
    spool.close()


def test_controls_account_counts_if_all_files_are_gone(path: Path) -> None:
    """The directory was removed, and the uploader ended before it noticed."""
    before = used(path)
    for file in path.parent.iterdir():
        file.unlink()
    spool = open_spool(path, AMPLE, known=before)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered) == (30, 10)
    assert state.outputs[OUTPUT].dropped == {"the spool was removed": 20}
    assert spool.next_envelope_ms(OUTPUT, 1) > before.outputs[OUTPUT].envelope_ms
    spool.close()


def test_controls_older_account_is_ignored(path: Path) -> None:
    """Control may have missed the uploader's last message."""
    early = used(path)
    spool = open_spool(path, AMPLE)
    fill(spool, 31, 40)
    before = spool.state
    spool.close()
    spool = open_spool(path, AMPLE, known=early)
    assert spool.state == before
    spool.close()


@pytest.mark.parametrize("at", [3, (1 << 16) + 3])
def test_one_damaged_slot_leaves_the_other(home: Path, at: int) -> None:
    """The slots are written in turn: if one is truncated, the other is one commit older."""
    copy = AccountCopy(home / "account")
    for commits in (6, 7):
        copy.write(SpoolState(commits=commits, kept=commits))
    with (home / "account").open("r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff\xff\xff\xff\xff")
    found = copy.read()
    assert found is not None
    assert found.kept == (7 if at < 10 else 6)


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 200_000, b"\xff" * 200_000])
def test_other_content_is_no_account(home: Path, content: bytes) -> None:
    """Any other content in the copy's file is ignored."""
    (home / "account").write_bytes(content)
    assert AccountCopy(home / "account").read() is None


def kill_during_recovery(path: Path) -> bool:
    """Damage a spool and kill the process that opens it; whether that was before recovery ended."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")
    child = os.fork()
    if child == 0:
        try:
            open_spool(path, AMPLE)
        finally:
            os._exit(0)
    pidfd = os.pidfd_open(child)
    wait_for(
        lambda: beside(path, ".new").exists() or select.select([pidfd], [], [], 0)[0],
        what="the start of a recovery",
    )
    os.close(pidfd)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_during_recovery_loses_nothing(path: Path) -> None:
    """The damaged file stays in place until the new one is complete. The next process starts again."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 40_000)
    spool.close()
    wait_for(lambda: kill_during_recovery(path), 60, "a kill that was not too late")
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].waiting, state.outputs[OUTPUT].dropped.total()) == (
        40_000,
        40_000,
        0,
    )
    assert len(spool.oldest(OUTPUT, EVERYTHING)) == 40_000
    assert not beside(path, ".new").exists()
    spool.close()


def test_a_complete_new_file_is_put_in_place(path: Path) -> None:
    """As after a kill once the damaged file was moved aside: the complete new file is used."""
    before = used(path)
    path.rename(beside(path, ".new"))
    spool = open_spool(path, AMPLE)
    assert spool.state == before
    assert times(spool) == list(range(11, 31))
    spool.close()


# --- the account and its limits


def assert_closed(spool: Spool) -> None:
    """Assert that the account explains every poll ever kept."""
    state = spool.state
    accounted = (
        state.outputs[OUTPUT].delivered
        + state.outputs[OUTPUT].waiting
        + state.outputs[OUTPUT].quarantined
        + state.outputs[OUTPUT].dropped.total()
    )
    assert state.kept == accounted
    assert state.outputs[OUTPUT].waiting == len(spool.oldest(OUTPUT, EVERYTHING))


def large(first: int, last: int, size: int) -> list[tuple[int, Poll]]:
    """Polls of about `size` bytes each."""
    content = os.urandom(size)
    return [(n, Poll(LAYOUT.identifier, n, content)) for n in range(first, last + 1)]


def test_the_account_closes_and_lasts(path: Path) -> None:
    """Kept polls are delivered, waiting, quarantined or dropped, also after reopening."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 10)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 3)[-1].id)
    spool.set_aside(
        OUTPUT,
        spool.oldest(OUTPUT, 1)[0].id,
        "nobody takes it",
    )
    spool.append([(11, Poll(LAYOUT.identifier, 1, b""))], LAYOUTS, "c", '{"a": 1}')
    assert_closed(spool)
    before = spool.state
    assert (
        before.kept,
        before.outputs[OUTPUT].delivered,
        before.outputs[OUTPUT].waiting,
        before.outputs[OUTPUT].quarantined,
    ) == (11, 3, 6, 1)
    assert (before.sequence, before.kept_of_channel, before.newest_ms) == (11, 11, 10)
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.state == before
    assert spool.state.book == '{"a": 1}'
    spool.close()


def test_in_a_full_spool_the_oldest_polls_are_dropped(path: Path) -> None:
    """`max_bytes` bounds the file; the newest polls stay."""
    spool = open_spool(path, limits_with(max_bytes=400_000))
    for first in range(1, 101, 10):
        spool.append(large(first, first + 9, 10_000), LAYOUTS, "c")
        assert_closed(spool)
    kept = times(spool)
    assert 20 <= len(kept) < 40
    assert kept == list(range(101 - len(kept), 101))
    assert spool.account(OUTPUT).dropped == {"the spool is full": 100 - len(kept)}
    spool.close()
    assert path.stat().st_size < 800_000


def test_polls_that_are_too_old_are_dropped(path: Path) -> None:
    """Age is measured from the newest poll, so no clock can empty a spool. The drop time is noted."""
    spool = open_spool(path, limits_with(max_age_s=10))
    begun_ms = time.time_ns() // 1_000_000
    assert spool.account(OUTPUT).dropped_ms == 0
    for second in range(1, 31):
        spool.append([(second, Poll(LAYOUT.identifier, second * 1000, b""))], LAYOUTS, "c")
        assert_closed(spool)
    assert times(spool) == [second * 1000 for second in range(20, 31)]
    assert spool.account(OUTPUT).dropped == {"too old": 19}
    assert begun_ms <= spool.account(OUTPUT).dropped_ms <= time.time_ns() // 1_000_000
    spool.close()


def test_an_old_poll_of_one_spoke_takes_no_new_one_of_another_with_it(path: Path) -> None:
    """A spoke whose clock was never set may be between others."""
    spool = open_spool(path, limits_with(max_age_s=10))
    given = [(1_000, "a 1000"), (100_000, "b 1000"), (2_000, "a 1000"), (3_000, "a 1000")]
    polls_of = [Poll(LAYOUT.identifier, time_ms, b"", group) for time_ms, group in given]
    spool.append(list(enumerate(polls_of, 1)), LAYOUTS, "c")
    assert times(spool) == [100_000, 2_000, 3_000]
    assert spool.account(OUTPUT).dropped == {"too old": 1}
    spool.close()


def test_on_a_nearly_full_disk_the_spool_does_not_grow(path: Path) -> None:
    """With less than `min_free_bytes` left, each new poll replaces the oldest."""
    spool = open_spool(path, limits_with(min_free_bytes=1 << 60))
    spool.append(large(1, 60, 100_000), LAYOUTS, "c")  # it may always grow to 4 MiB
    size = spool.account(OUTPUT).waiting
    for first in range(61, 121, 10):
        spool.append(large(first, first + 9, 100_000), LAYOUTS, "c")
        assert_closed(spool)
    assert spool.account(OUTPUT).waiting <= size + 1
    assert times(spool)[-1] == 120
    assert set(spool.account(OUTPUT).dropped) == {"the disk is nearly full"}
    spool.close()


def test_the_newest_poll_stays_however_small_the_limit(path: Path) -> None:
    """A limit below one poll keeps one poll."""
    spool = open_spool(path, limits_with(max_bytes=1))
    fill(spool, 1, 5)
    assert times(spool) == [5]
    assert_closed(spool)
    spool.close()


def test_a_tick_that_an_earlier_control_process_has_polled_is_kept_once(home: Path) -> None:
    """The clock was set back, and the disk was full at the start, so the new process did not know."""
    spool = open_spool(home / "spool.sqlite", AMPLE)
    spool.append([(1, poll(1)), (2, poll(2)), (3, poll(2))], LAYOUTS, "earlier")
    spool.append([(1, poll(1)), (2, poll(2)), (3, poll(3)), (4, poll(3))], LAYOUTS, "new")
    assert times(spool) == [1, 2, 2, 3, 3]  # of two intervals
    assert spool.account(OUTPUT).dropped == {"older than a poll before it": 2}
    assert spool.state.closes
    spool.close()


def test_such_a_tick_is_kept_once_if_a_commit_of_older_polls_came_before(home: Path) -> None:
    """The new process was so far behind that it came to that tick only later."""
    spool = open_spool(home / "spool.sqlite", AMPLE)
    spool.append([(1, poll(1)), (2, poll(5))], LAYOUTS, "earlier")
    spool.append([(1, poll(3))], LAYOUTS, "new")
    spool.append([(2, poll(4)), (3, poll(5)), (4, poll(6)), (5, poll(6))], LAYOUTS, "new")
    assert times(spool) == [1, 5, 6, 6]
    assert spool.account(OUTPUT).dropped == {"older than a poll before it": 3}
    assert spool.state.closes
    spool.close()

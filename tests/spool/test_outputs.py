"""A spool with several outputs: each has its own place, and a poll goes when none waits for it."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.store import Spool, StorageError
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, poll
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

ROOT: Final = Path(__file__).resolve().parents[2]
BOTH: Final = ("pattoo", "metrics")
KB: Final = 1024


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def times_of(spool: Spool, output: str) -> list[int]:
    """The times of the polls that wait for an output."""
    return [spooled.poll.timestamp_ms for spooled in spool.oldest(output, EVERYTHING)]


def rows(path: Path) -> int:
    """How many polls are in the file."""
    with closing(sqlite3.connect(path)) as file:
        (count,) = file.execute("SELECT count(*) FROM polls").fetchone()
    return int(count)


def closes(spool: Spool) -> bool:
    """Whether each output's account explains all of its polls."""
    return spool.state.closes


def deliver(spool: Spool, output: str, count: int) -> int:
    """Deliver the oldest polls of an output."""
    return spool.acknowledge(output, spool.oldest(output, count)[-1].id)


def test_a_poll_stays_until_the_slowest_output_has_it(path: Path) -> None:
    """An output that takes nothing keeps what it waits for, and nothing of another output's."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 10)
    assert deliver(spool, "metrics", 7) == 7
    assert (times_of(spool, "metrics"), len(times_of(spool, "pattoo"))) == ([8, 9, 10], 10)
    assert rows(path) == 10
    assert deliver(spool, "pattoo", 9) == 9
    assert rows(path) == 3
    assert deliver(spool, "metrics", 3) == 3
    assert rows(path) == 1
    assert closes(spool)
    spool.close()


def test_each_place_is_kept_over_a_restart(path: Path) -> None:
    """With its account."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 10)
    deliver(spool, "metrics", 7)
    before = spool.state
    spool.close()
    spool = open_spool(path, AMPLE, outputs=BOTH)
    assert spool.state == before
    assert times_of(spool, "metrics") == [8, 9, 10]
    spool.close()


def test_what_is_dropped_counts_for_those_that_did_not_have_it(path: Path) -> None:
    """The limits are those of the whole spool."""
    spool = open_spool(path, limits_with(max_bytes=100 * KB, min_free_bytes=0), outputs=BOTH)
    fill(spool, 1, 2)
    deliver(spool, "metrics", 2)
    for number in range(3, 60):
        big = Poll(LAYOUT.identifier, number, os.urandom(5000))
        spool.append([(number, big)], LAYOUTS, "c")
    slow, fast = spool.account("pattoo"), spool.account("metrics")
    assert slow.dropped["the spool is full"] == fast.dropped["the spool is full"] + 2
    assert slow.waiting == fast.waiting == rows(path)
    assert closes(spool)
    spool.close()


def test_what_is_too_old_counts_for_those_that_did_not_have_it(path: Path) -> None:
    """One output had half of it."""
    spool = open_spool(path, limits_with(max_age_s=60), outputs=BOTH)
    fill(spool, 1, 10)
    deliver(spool, "metrics", 5)
    spool.append([(11, poll(100_000))], LAYOUTS, "c")
    assert spool.account("pattoo").dropped == {"too old": 10}
    assert spool.account("metrics").dropped == {"too old": 5}
    assert closes(spool)
    spool.close()


def test_a_refused_poll_is_set_aside_for_one_output_only(path: Path) -> None:
    """The other one still gets it."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 3)
    spool.set_aside("pattoo", spool.oldest("pattoo", 1)[0].id, "refused")
    assert (times_of(spool, "pattoo"), times_of(spool, "metrics")) == ([2, 3], [1, 2, 3])
    assert spool.account("pattoo").quarantined == 1
    assert spool.account("metrics").quarantined == 0
    assert closes(spool)
    before = spool.state
    spool.close()
    spool = open_spool(path, AMPLE, outputs=BOTH)
    assert spool.state == before
    spool.close()


def test_a_damaged_poll_is_set_aside_for_all_that_wait(path: Path) -> None:
    """The one that had it keeps its account."""
    spool = open_spool(path, AMPLE, outputs=(*BOTH, "third"))
    fill(spool, 1, 3)
    deliver(spool, "third", 2)
    spool.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE polls SET packed = x'00' WHERE id = 2")
    spool = open_spool(path, AMPLE, outputs=(*BOTH, "third"))
    assert times_of(spool, "pattoo") == times_of(spool, "metrics") == [1, 3]
    quarantined = [spool.account(name).quarantined for name in (*BOTH, "third")]
    assert quarantined == [1, 1, 0]
    assert closes(spool)
    spool.close()


def test_a_given_up_poll_is_dropped_for_one_output_only(path: Path) -> None:
    """What one receiver will never take."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 5)
    assert spool.drop("metrics", spool.oldest("metrics", 3)[-1].id, "out of bounds") == 3
    assert spool.account("metrics").dropped == {"out of bounds": 3}
    assert (times_of(spool, "metrics"), len(times_of(spool, "pattoo"))) == ([4, 5], 5)
    assert closes(spool)
    spool.close()


@pytest.mark.parametrize("at_a_restart", [True, False])
def test_a_new_output_begins_with_the_next_poll(path: Path, *, at_a_restart: bool) -> None:
    """Not with the backlog of another one."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 3)
    if at_a_restart:
        spool.close()
        spool = open_spool(path, AMPLE, outputs=BOTH)
    else:
        spool.change_outputs(BOTH)
    assert times_of(spool, "metrics") == []
    fill(spool, 4, 5)
    assert (times_of(spool, "metrics"), len(times_of(spool, "pattoo"))) == ([4, 5], 5)
    assert (spool.account("metrics").kept, spool.account("pattoo").kept) == (2, 5)
    assert closes(spool)
    spool.close()


@pytest.mark.parametrize("at_a_restart", [True, False])
def test_an_output_that_is_gone_gives_up_what_waited_for_it(
    path: Path, caplog: pytest.LogCaptureFixture, *, at_a_restart: bool
) -> None:
    """Its place in the file goes, with its quarantine; the log has the count."""
    caplog.set_level(logging.INFO)
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 10)
    deliver(spool, "pattoo", 6)
    spool.set_aside("metrics", spool.oldest("metrics", 1)[0].id, "refused")
    if at_a_restart:
        spool.close()
        spool = open_spool(path, AMPLE)
    else:
        spool.change_outputs([OUTPUT])
    assert list(spool.state.outputs) == [OUTPUT]
    assert times_of(spool, "pattoo") == [7, 8, 9, 10]
    assert rows(path) == 4
    assert "metrics is not configured any more; 9 polls that waited for it and 1 in" in caplog.text
    assert "5 polls waited for no other output" in caplog.text
    spool.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


def test_a_lost_file_is_counted_for_each_output(path: Path) -> None:
    """From the copy of the account."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 10)
    deliver(spool, "metrics", 4)
    spool.close()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    spool = open_spool(path, AMPLE, outputs=BOTH)
    assert spool.account("pattoo").dropped == {"the spool was removed": 10}
    assert spool.account("metrics").dropped == {"the spool was removed": 6}
    assert closes(spool)
    spool.close()


def test_a_damaged_file_is_recovered_for_each_output(path: Path) -> None:
    """With a post of each under way, whose answer comes later."""
    spool = open_spool(path, AMPLE, outputs=BOTH)
    fill(spool, 1, 400)
    deliver(spool, "metrics", 100)
    under_way = {name: spool.oldest(name, 50)[-1].id for name in BOTH}
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    for name in BOTH:
        for _ in range(3):  # the first ones may find the damage
            try:
                spool.acknowledge(name, under_way[name])
            except StorageError:
                continue
            break
    assert spool.account("pattoo").delivered == 50
    assert spool.account("metrics").delivered == 150
    assert closes(spool)
    fill(spool, 401, 401)
    assert times_of(spool, "pattoo")[-1] == times_of(spool, "metrics")[-1] == 401
    assert closes(spool)
    spool.close()


# --- a file of schema 1


#: A spool as release 0.1.0 left it: 40 polls, the first 10 delivered, one in quarantine, and one
#: more that was dropped as it was older.
_SCHEMA_1: Final = ROOT / "tests" / "data" / "spool_schema_1.sqlite"
_WAITING: Final = list(range(12, 41))


def check_taken_over(path: Path, name: str = OUTPUT) -> None:
    """Check that a spool has all that was in the file of schema 1, for an output of this name."""
    spool = open_spool(path, AMPLE, outputs=(name,))
    account = spool.account(name)
    assert times_of(spool, name) == _WAITING
    assert (account.kept, account.delivered, account.quarantined) == (41, 10, 1)
    assert account.dropped == {"older than a poll before it": 1}
    assert (account.envelope_ms, account.done_id, account.delivered_ms) == (1000, 10, 10)
    assert closes(spool)
    assert spool.append([(42, poll(50))], LAYOUTS, "c") == 1, "the channel goes on after 41"
    assert spool.oldest(name, EVERYTHING)[-1].id == 41, "ids go on"
    spool.close()


def test_delivered_polls_may_be_taken_back(path: Path) -> None:
    """They count as dropped then, also after the file was closed."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 10)
    spool.acknowledge(OUTPUT, 6)
    spool.take_back(OUTPUT, 4, "not there")
    spool.close()
    spool = open_spool(path, AMPLE)
    account = spool.account(OUTPUT)
    assert (account.delivered, account.waiting) == (2, 4)
    assert account.dropped == {"not there": 4}
    assert closes(spool)
    spool.close()


@pytest.mark.parametrize("name", [OUTPUT, "renamed"])
def test_a_spool_of_schema_1_is_taken_over(path: Path, name: str) -> None:
    """Its one output had no name; the first pattoo output continues it."""
    shutil.copy(_SCHEMA_1, path)
    check_taken_over(path, name)
    spool = open_spool(path, AMPLE, outputs=(name,))
    assert times_of(spool, name) == [*_WAITING, 50]
    spool.close()


def test_a_spool_of_schema_1_is_given_up_without_a_pattoo_output(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Remote write begins with the next poll."""
    shutil.copy(_SCHEMA_1, path)
    spool = Spool(path, AMPLE, outputs=["metrics"], heir="pattoo")
    assert times_of(spool, "metrics") == []
    assert "pattoo is not configured any more; 29 polls that waited" in caplog.text
    spool.close()


def test_a_kill_while_a_spool_is_taken_over_loses_nothing(path: Path) -> None:
    """At fifty random moments, around that of the change, which comes later on a busy host."""
    draw = random.Random(15)
    within_s = 0.03
    outcomes = set()
    for _ in range(50):
        for suffix in ("-wal", "-shm", ".account"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(_SCHEMA_1, path)
        child = os.fork()
        if not child:
            open_spool(path, AMPLE)
            os._exit(0)
        time.sleep(draw.uniform(0, within_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with closing(sqlite3.connect(path)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
        outcomes.add(version)
        within_s *= 1.2 if version == 1 else 0.9
        check_taken_over(path)
    assert outcomes == {1, 2}, "some kills came before the change, and some after it"


def test_a_damaged_spool_of_schema_1_is_recovered(path: Path) -> None:
    """Its account is read as far as possible."""
    shutil.copy(_SCHEMA_1, path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE facts SET value = 7 WHERE name = 'kept'")
    spool = open_spool(path, AMPLE)
    assert times_of(spool, OUTPUT) == _WAITING
    assert spool.account(OUTPUT).delivered == 10
    assert closes(spool)
    spool.close()


def test_outputs_change_as_soon_as_the_file_can_be_written(path: Path) -> None:
    """Another process has locked it at the reload. Nothing fails, and nothing is lost."""
    spool = open_spool(path, AMPLE, outputs=("pattoo",))
    fill(spool, 1, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        spool.change_outputs(BOTH)
        assert spool.account("metrics").waiting == 0
        with pytest.raises(StorageError):
            spool.oldest("metrics", 9)
        other.execute("ROLLBACK")
    assert times_of(spool, "metrics") == []
    fill(spool, 4, 4)
    assert times_of(spool, "pattoo") == [1, 2, 3, 4]
    assert times_of(spool, "metrics") == [4]
    assert closes(spool)
    spool.close()

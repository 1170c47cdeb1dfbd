"""Spool files that are damaged, truncated, or removed while in use."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import WireError
from pattoo_mp.model import Poll
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, poll, times
from tests.support.spools import AMPLE, OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.store import Spool

POLLS = 400


@pytest.fixture
def path(home: Path) -> Path:
    """The path of a spool."""
    return home / "spool.sqlite"


def filled(path: Path) -> Spool:
    """Return a spool with many polls, all in the main file and none in the journal."""
    spool = open_spool(path, AMPLE)
    spool.append([(n, poll(n)) for n in range(1, POLLS + 1)], LAYOUTS, "c")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 10)[-1].id)
    spool.close()
    return spool


def assert_goes_on(path: Path) -> Spool:
    """Assert that a spool opens, has a closed account, and stores and returns polls."""
    spool = open_spool(path, AMPLE)
    found = spool.oldest(OUTPUT, EVERYTHING)
    assert [s.poll for s in found] == [poll(s.poll.timestamp_ms) for s in found]
    found_times = times(spool)
    assert found_times == sorted(set(found_times))
    for spooled in found[:50]:
        try:
            spool.layout(spooled.poll.layout_id)
        except WireError:
            continue
    state = spool.state
    spool.append([(1, poll(10_000)), (2, poll(10_001))], LAYOUTS, "another")
    assert times(spool)[-2:] == [10_000, 10_001]
    assert spool.layout(LAYOUT.identifier) == LAYOUT
    spool.acknowledge(
        OUTPUT,
        spool.oldest(OUTPUT, EVERYTHING)[-1].id,
    )
    after = spool.state
    assert after.outputs[OUTPUT].waiting == 0
    assert (
        after.kept
        == after.outputs[OUTPUT].delivered
        + after.outputs[OUTPUT].quarantined
        + after.outputs[OUTPUT].dropped.total()
    )
    assert after.kept >= state.kept
    return spool


@pytest.mark.parametrize("seed", range(25))
def test_a_spool_with_changed_bytes_still_works(path: Path, seed: int) -> None:
    """After changes of random bytes no wrong poll comes out, and new ones can be stored and sent."""
    filled(path)
    draw = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice([1, 10, 200])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)
    assert_goes_on(path).close()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999])
def test_a_truncated_spool_still_works(path: Path, share: float) -> None:
    """The same for a file truncated at any length."""
    filled(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert_goes_on(path).close()


@pytest.mark.parametrize("name", [b"\xff", 7, 1.5])
def test_a_fact_whose_name_is_no_text_is_a_damage(path: Path, name: object) -> None:
    """As in a page that was cut off. The polls are recovered."""
    filled(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE facts (name PRIMARY KEY, value NOT NULL) "
            "WITHOUT ROWID' WHERE name = 'facts'"
        )
        connection.commit()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO facts VALUES (?, 1)", (name,))
        connection.commit()
    assert_goes_on(path).close()


@pytest.mark.parametrize("share", [0.75, 0.9])
def test_polls_before_the_cut_are_recovered(path: Path, share: float) -> None:
    """The oldest polls come first: most of those before the cut are recovered, the others counted."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 2000)
    spool.close()
    os.truncate(path, int(path.stat().st_size * share))
    spool = open_spool(path, AMPLE)
    saved = times(spool)
    assert len(saved) > 2000 * (share - 0.25)
    assert spool.account(OUTPUT).dropped == {"the spool was damaged": 2000 - len(saved)}
    spool.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_journal_loses_no_more_than_itself(path: Path, seed: int) -> None:
    """Random bytes are changed in the write-ahead log that a kill left.

    Polls in the file itself all stay. Those in the log stay up to the damage.
    """
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 50)
    spool.close()  # empties the log into the file
    spool = open_spool(path, AMPLE)
    for number in range(51, 101):
        fill(spool, number, number)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}.copy{suffix}")
    spool.close()
    draw = random.Random(seed)
    wal = path.with_name(f"{path.name}.copy-wal")
    content = bytearray(wal.read_bytes())
    for _ in range(20):
        content[draw.randrange(len(content))] ^= 1 + draw.randrange(255)
    wal.write_bytes(content)
    damaged = path.with_name(f"{path.name}.copy")
    spool = open_spool(damaged, AMPLE)
    saved = times(spool)
    spool.close()
    assert saved == list(range(1, len(saved) + 1))
    assert 50 <= len(saved) < 100
    assert_goes_on(damaged).close()


def test_readable_polls_are_recovered_and_the_others_counted(path: Path) -> None:
    """With one page overwritten most polls are recovered, and the lost ones are counted as dropped."""
    filled(path)
    content = bytearray(path.read_bytes())
    # A leaf page of a table (its first byte is 13) with many rows: no other page is as full.
    leaves = [
        at for at in range(0, len(content), 4096) if content[at] == 13 and content[at + 4] > 20
    ]
    page = leaves[len(leaves) // 2]
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    spool = open_spool(path, AMPLE)
    saved = len(spool.oldest(OUTPUT, EVERYTHING))
    state = spool.state
    assert POLLS // 2 < saved < POLLS
    lost = (
        state.outputs[OUTPUT].dropped["the spool was damaged"] + state.outputs[OUTPUT].quarantined
    )
    assert (state.kept, state.outputs[OUTPUT].delivered) == (POLLS, 10)
    assert saved + lost == POLLS - 10
    assert list(path.parent.glob("*.damaged-*"))
    spool.close()


def test_a_changed_value_is_never_sent(path: Path) -> None:
    """SQLite does not notice a changed byte in a value; the spool quarantines that poll."""
    spool = open_spool(path, AMPLE)
    spool.append([(1, Poll(LAYOUT.identifier, 1, b"\x91\x01")), (2, poll(2))], LAYOUTS, "c")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE polls SET packed = x'9102' WHERE timestamp_ms = 1")
    connection.close()
    assert times(spool) == [2]
    assert spool.account(OUTPUT).quarantined == 1
    spool.close()


def test_damage_while_the_file_is_open_is_survived(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file overwritten while open is moved aside; the account shows what was lost."""
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 300)
    spool.close()
    spool = open_spool(path, AMPLE)
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert fill(spool, 301, 310, "new") == 10
    assert times(spool)[-10:] == list(range(301, 311))
    state = spool.state
    assert state.kept == 310
    assert state.outputs[OUTPUT].waiting + state.outputs[OUTPUT].dropped.total() == 310
    assert "is damaged" in caplog.text
    spool.close()


def test_polls_dropped_before_the_file_was_lost_count_once(path: Path) -> None:
    """The file is removed while a post of too old polls is under way: each poll counts once."""
    spool = open_spool(path, limits_with(max_age_s=1))
    fill(spool, 1, 100)
    under_way = spool.oldest(OUTPUT, 100)
    spool.append([(101, poll(1051))], LAYOUTS, "c")
    path.unlink()
    assert spool.acknowledge(OUTPUT, under_way[-1].id) == 50
    state = spool.state
    assert state.outputs[OUTPUT].dropped == {"too old": 50}
    assert state.closes
    spool.close()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_spool_removed_while_open_loses_nothing(path: Path, what: str) -> None:
    """The polls can still be read through the open file, and go into a new one."""
    path = path.parent / "cache" / path.name
    path.parent.mkdir()
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 5)
    if what == "file":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    assert spool.append([(6, poll(6))], LAYOUTS, "c") == 1
    assert times(spool) == [1, 2, 3, 4, 5, 6]
    before = spool.state
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.state == before
    assert times(spool) == [1, 2, 3, 4, 5, 6]
    spool.close()

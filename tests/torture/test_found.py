"""Small tests for defects that long torture runs have found."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import WireError
from pattoo_mp.model import Poll
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, poll, times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path


def test_a_post_under_way_acknowledges_its_own_polls_after_a_recovery(home: Path) -> None:
    """The file is removed while the post waits for its answer."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append([(n, poll(n)) for n in range(1, 101)], LAYOUTS, "c")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 50)[-1].id)
    under_way = spool.oldest(OUTPUT, 10)
    path.unlink()
    spool.append([(101, poll(101))], LAYOUTS, "c")
    assert spool.acknowledge(OUTPUT, under_way[-1].id) == 10
    assert times(spool) == list(range(61, 102))
    assert spool.account(OUTPUT).delivered == 60
    spool.close()


def test_a_post_under_way_counts_as_delivered_although_its_polls_were_lost(home: Path) -> None:
    """The file is emptied while the post waits for its answer. No later poll is counted instead."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    large = [(n, Poll(LAYOUT.identifier, n, bytes(20_000))) for n in range(1, 101)]
    spool.append(large, LAYOUTS, "c")
    under_way = spool.oldest(OUTPUT, EVERYTHING)
    for part in (path, path.with_name(path.name + "-wal")):
        part.write_bytes(b"")
    spool.append([(101, poll(101))], LAYOUTS, "c")
    assert spool.account(OUTPUT).dropped.total() > 50
    spool.acknowledge(OUTPUT, under_way[49].id)
    state = spool.state
    assert state.outputs[OUTPUT].delivered == 50
    assert (
        state.kept
        == 101
        == 50 + state.outputs[OUTPUT].waiting + state.outputs[OUTPUT].dropped.total()
    )
    assert times(spool)[-1] == 101
    spool.close()


def test_more_than_a_batch_of_polls_is_recovered_from_a_removed_file(home: Path) -> None:
    """Its journal remains, and must not be taken for that of the new file."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append([(n, poll(n)) for n in range(1, 1201)], LAYOUTS, "c")
    path.unlink()
    spool.append([(1201, poll(1201))], LAYOUTS, "c")
    assert times(spool) == list(range(1, 1202))
    assert spool.account(OUTPUT).dropped.total() == 0
    spool.close()


def damage(path: Path, statement: str) -> None:
    """Change the file directly."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)


def test_a_damaged_layout_does_not_affect_later_polls(home: Path) -> None:
    """Each append brings its layout, so neither this spool nor the next one needs the one in the file."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append([(1, poll(1))], LAYOUTS, "c")
    damage(path, "UPDATE layouts SET packed = x'00'")
    assert spool.layout(LAYOUT.identifier) == LAYOUT
    spool.close()
    spool = open_spool(path, AMPLE)
    with pytest.raises(WireError):
        spool.layout(LAYOUT.identifier)
    spool.append([(2, poll(2))], LAYOUTS, "c")
    assert spool.layout(LAYOUT.identifier) == LAYOUT
    spool.close()
    spool = open_spool(path, AMPLE)
    assert spool.layout(LAYOUT.identifier) == LAYOUT
    spool.close()


def test_an_unreadable_fact_does_not_affect_the_others(home: Path) -> None:
    """A fact has a byte that is not UTF-8; the counts stay."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append([(n, poll(n)) for n in range(1, 11)], LAYOUTS, "c", ledger_snapshot="a note")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 4)[-1].id)
    spool.close()
    damage(path, "UPDATE facts SET value = CAST(x'ff41' AS TEXT) WHERE name = 'book'")
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].waiting) == (
        10,
        4,
        6,
    )
    assert state.outputs[OUTPUT].dropped.total() == 0
    assert times(spool) == list(range(5, 11))
    spool.close()


def test_delivered_polls_do_not_return_with_an_older_file(home: Path) -> None:
    """The journal is emptied, so the file still contains polls that were sent since."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    large = [(n, Poll(LAYOUT.identifier, n, bytes(20_000))) for n in range(1, 101)]
    spool.append(large, LAYOUTS, "c")
    spool.close()
    spool = open_spool(path, AMPLE)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 60)[-1].id)
    spool.append([(101, poll(101))], LAYOUTS, "c")
    path.with_name(path.name + "-wal").write_bytes(b"")
    left = times(spool)
    assert set(left) <= set(range(61, 102))
    state = spool.state
    assert (state.kept, state.outputs[OUTPUT].delivered, state.outputs[OUTPUT].waiting) == (
        101,
        60,
        len(left),
    )
    assert state.outputs[OUTPUT].dropped.total() == 41 - len(left)
    assert not {*range(61, 101)} - set(left)
    spool.close()


def test_a_file_that_was_emptied_is_noticed_at_once(home: Path) -> None:
    """SQLite has its content in memory and notices nothing, but the next to open it would find nothing."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    spool.append([(n, poll(n)) for n in range(1, 101)], LAYOUTS, "c")
    os.truncate(path, 0)
    spool.append([(101, poll(101))], LAYOUTS, "c")
    spool.close()
    spool = open_spool(path, AMPLE)
    state = spool.state
    assert (
        state.kept == 101 == state.outputs[OUTPUT].waiting + state.outputs[OUTPUT].dropped.total()
    )
    assert times(spool)[-1] == 101
    spool.close()

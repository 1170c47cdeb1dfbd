"""The journal of the spool: a reader that holds it, and a disk that is too full for its index."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.limits import JOURNAL_BYTES
from pattoo_mp.spool.store import Spool, StorageError
from tests.spool.polls import LAYOUT, LAYOUTS
from tests.support.disks import fill, small_blocks
from tests.support.spools import OUTPUT, limits_with, open_spool

if TYPE_CHECKING:
    from pathlib import Path

MB = 1 << 20
BATCH = 100


def keep(spool: Spool, batch: int, size: int = 2000) -> None:
    """Store a batch of polls, and acknowledge all that wait: the server is well."""
    first = batch * BATCH + 1
    polls = [(n, Poll(LAYOUT.identifier, n, os.urandom(size))) for n in range(first, first + BATCH)]
    spool.append(polls, LAYOUTS, "c", now_ms=first)
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, BATCH)[-1].id)


def on_disk(path: Path) -> int:
    """The bytes of the spool and its journal."""
    return sum(path.with_name(path.name + part).stat().st_size for part in ("", "-wal"))


def test_a_reader_that_holds_the_journal_is_reported_and_bounded(tmp_path: Path) -> None:
    """The journal counts as a part of the spool. When the reader ends, the next poll is stored."""
    path = tmp_path / "spool"
    spool = open_spool(path, limits_with(max_bytes=2 * MB, min_free_bytes=0))
    keep(spool, 0)
    assert spool.journal_trouble == ""
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM polls").fetchone()
        for batch in range(1, 100):
            try:
                keep(spool, batch)
            except StorageError as error:
                refused, failed = batch, str(error)
                break
        else:
            pytest.fail("the journal has no limit")
        assert on_disk(path) < 2 * MB + JOURNAL_BYTES + 2 * MB
        assert f"{path}-wal has" in spool.journal_trouble
        assert "another process reads the spool" in spool.journal_trouble
        assert failed == f"{spool.journal_trouble}; end it"
        size = on_disk(path)
        spool.next_envelope_ms(OUTPUT, 0)  # the last commit has reserved it
        for _ in range(20):
            with pytest.raises(StorageError):
                keep(spool, refused)
            with pytest.raises(StorageError):
                spool.next_envelope_ms(OUTPUT, refused)
        assert on_disk(path) == size
    keep(spool, refused)
    keep(spool, refused + 1)
    assert spool.journal_trouble == ""
    assert on_disk(path) < 2 * MB + JOURNAL_BYTES
    assert spool.state.closes
    assert spool.account(OUTPUT).delivered == (refused + 2) * BATCH
    spool.close()


def test_a_reader_is_reported_long_before_the_limit(tmp_path: Path) -> None:
    """And no poll is refused."""
    path = tmp_path / "spool"
    spool = open_spool(path, limits_with(min_free_bytes=0))
    keep(spool, 0)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM polls").fetchone()
        for batch in range(1, 40):
            keep(spool, batch)
        assert spool.journal_trouble
    keep(spool, 40)
    keep(spool, 41)
    assert spool.journal_trouble == ""
    spool.close()


def _store(path: Path) -> None:
    """Store polls until the disk is full."""
    try:
        spool = open_spool(path, limits_with(min_free_bytes=0))
        for batch in range(20):
            keep(spool, batch, 20)
        spool.close()
    except StorageError:
        pass


def test_a_nearly_full_disk_with_small_blocks_kills_no_process(home: Path) -> None:
    """The index of the journal is a sparse file. A write to a hole of a full disk is a SIGBUS."""
    context = multiprocessing.get_context("fork")
    with small_blocks(home / "disk") as disk:
        ends = {}
        for free_kb in range(30, 150, 3):
            directory = disk / "cache"
            directory.mkdir()
            filler = fill(disk, but_for=free_kb << 10)
            process = context.Process(target=_store, args=(directory / "spool",))
            process.start()
            process.join()
            ends[free_kb] = process.exitcode
            shutil.rmtree(directory)
            filler.unlink()
        assert set(ends.values()) == {0}, ends

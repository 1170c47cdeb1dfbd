"""Long operations on a large spool report progress."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from tests.spool.polls import LAYOUT, LAYOUTS, fill, poll, times
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path

POLLS = 2000


class Calls:
    """Counts its calls; the call with the number `broken_at` fails."""

    def __init__(self, broken_at: int = 0) -> None:
        self.number = 0
        self._broken_at = broken_at

    def __call__(self) -> None:
        """Count a call."""
        self.number += 1
        if self.number == self._broken_at:
            raise LookupError


@pytest.fixture
def path(home: Path) -> Path:
    """A spool of 8 MB."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    polls = [(n, Poll(LAYOUT.identifier, n, os.urandom(4000))) for n in range(1, POLLS + 1)]
    spool.append(polls, LAYOUTS, "c")
    spool.close()
    return path


def damage(path: Path) -> None:
    """Remove the account from the file, so that its copy is used."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")


def test_recovery_reports_each_megabyte(path: Path) -> None:
    """However long recovery takes, there is progress in short intervals."""
    damage(path)
    calls, before = Calls(), time.monotonic()
    spool = open_spool(path, AMPLE, progress=calls)
    assert spool.account(OUTPUT).waiting == POLLS
    assert calls.number >= 8
    assert before <= spool.progressed_at <= time.monotonic()
    spool.close()


def test_recovery_in_a_running_agent_reports_progress(path: Path) -> None:
    """The file is removed: the next call from any thread recovers what is still open."""
    calls = Calls()
    spool = open_spool(path, AMPLE, progress=calls)
    opened = calls.number
    path.unlink()
    spool.append([(POLLS + 1, poll(POLLS + 1))], LAYOUTS, "another")
    assert calls.number >= opened + 8
    assert spool.account(OUTPUT).waiting == POLLS + 1
    spool.close()


def test_counting_the_polls_of_a_sound_spool_reports_progress(home: Path) -> None:
    """Counting reads the whole file, which may take long on a slow disk."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 50_000)
    spool.close()
    calls = Calls()
    spool = open_spool(path, AMPLE, progress=calls)
    assert spool.account(OUTPUT).waiting == 50_000
    assert calls.number >= 4
    fill(spool, 50_001, 50_010, "another")
    spool.acknowledge(OUTPUT, spool.oldest(OUTPUT, 40_000)[-1].id)
    opened = calls.number
    assert spool.account(OUTPUT).waiting == 10_010
    assert calls.number == opened
    spool.close()


def test_progress_may_end_the_counting_of_polls(home: Path) -> None:
    """As when control is gone: the exception passes through unchanged."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE)
    fill(spool, 1, 50_000)
    spool.close()
    with pytest.raises(LookupError):
        open_spool(path, AMPLE, progress=Calls(broken_at=2))
    spool = open_spool(path, AMPLE)
    assert spool.account(OUTPUT).waiting == 50_000
    spool.close()


def test_an_interrupted_recovery_leaves_the_spool_unchanged(path: Path) -> None:
    """The next recovery starts again."""
    damage(path)
    with pytest.raises(LookupError):
        open_spool(path, AMPLE, progress=Calls(broken_at=5))
    assert not list(path.parent.glob("*.new*"))
    spool = open_spool(path, AMPLE)
    assert times(spool) == list(range(1, POLLS + 1))
    spool.close()

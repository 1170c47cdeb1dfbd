"""What takes long with a large spool says that it goes on."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.store import Spool
from tests.spool.polls import LAYOUT, LAYOUTS, fill, poll, times
from tests.support.spools import AMPLE

if TYPE_CHECKING:
    from pathlib import Path

POLLS = 2000


class Calls:
    """Counts how often it was called; the call of the number `broken_at` fails."""

    def __init__(self, broken_at: int = 0) -> None:
        self.number = 0
        self._broken_at = broken_at

    def __call__(self) -> None:
        """Count one more."""
        self.number += 1
        if self.number == self._broken_at:
            raise LookupError


@pytest.fixture
def path(home: Path) -> Path:
    """A spool of 8 MB."""
    path = home / "spool.sqlite"
    spool = Spool(path, AMPLE)
    polls = [(n, Poll(LAYOUT.identifier, n, os.urandom(4000))) for n in range(1, POLLS + 1)]
    spool.append(polls, LAYOUTS, "c")
    spool.close()
    return path


def damage(path: Path) -> None:
    """Take the account out of the file; it goes on from its copy."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM facts")


def test_a_rescue_tells_of_each_megabyte(path: Path) -> None:
    """However long it takes, it is not silent for long."""
    damage(path)
    calls, before = Calls(), time.monotonic()
    spool = Spool(path, AMPLE, progress=calls)
    assert spool.waiting == POLLS
    assert calls.number >= 8
    assert before <= spool.progressed_at <= time.monotonic()
    spool.close()


def test_so_does_one_under_a_running_agent(path: Path) -> None:
    """The file is removed: what is still open is saved by whoever comes next, of two threads."""
    calls = Calls()
    spool = Spool(path, AMPLE, progress=calls)
    opened = calls.number
    path.unlink()
    spool.append([(POLLS + 1, poll(POLLS + 1))], LAYOUTS, "another")
    assert calls.number >= opened + 8
    assert spool.waiting == POLLS + 1
    spool.close()


def test_a_sound_spool_tells_as_its_polls_are_counted(home: Path) -> None:
    """For that all of the file is read, which may take long on a slow disk."""
    path = home / "spool.sqlite"
    spool = Spool(path, AMPLE)
    fill(spool, 1, 50_000)
    spool.close()
    calls = Calls()
    spool = Spool(path, AMPLE, progress=calls)
    assert spool.waiting == 50_000
    assert calls.number >= 4
    fill(spool, 50_001, 50_010, "another")
    spool.acknowledge(spool.oldest(40_000)[-1].id)
    opened = calls.number
    assert spool.waiting == 10_010
    assert calls.number == opened
    spool.close()


def test_who_is_told_may_end_it_while_polls_are_counted(home: Path) -> None:
    """Control is gone, say: that is no fault of the spool, and comes out as what it is."""
    path = home / "spool.sqlite"
    spool = Spool(path, AMPLE)
    fill(spool, 1, 50_000)
    spool.close()
    with pytest.raises(LookupError):
        Spool(path, AMPLE, progress=Calls(broken_at=2))
    spool = Spool(path, AMPLE)
    assert spool.waiting == 50_000
    spool.close()


def test_a_rescue_that_is_given_up_in_between_leaves_the_spool_as_it_is(path: Path) -> None:
    """Its next one begins anew."""
    damage(path)
    with pytest.raises(LookupError):
        Spool(path, AMPLE, progress=Calls(broken_at=5))
    assert not list(path.parent.glob("*.new*"))
    spool = Spool(path, AMPLE)
    assert times(spool) == list(range(1, POLLS + 1))
    spool.close()

"""The spool's account and its limits."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Poll
from pattoo_mp.spool.limits import Limits
from pattoo_mp.spool.store import Spool
from tests.spool.polls import EVERYTHING, LAYOUT, LAYOUTS, fill, times

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(home: Path) -> Path:
    """Where a spool may be made."""
    return home / "spool.sqlite"


def assert_closed(spool: Spool) -> None:
    """Assert that every poll ever kept is accounted for."""
    state = spool.state
    accounted = state.delivered + state.waiting + state.quarantined + state.dropped.total()
    assert state.kept == accounted
    assert state.waiting == len(spool.oldest(EVERYTHING))


def large(first: int, last: int, size: int) -> list[tuple[int, Poll]]:
    """Polls of about `size` bytes each."""
    content = os.urandom(size)
    return [(n, Poll(LAYOUT.identifier, n, content)) for n in range(first, last + 1)]


def test_the_account_closes_and_survives(path: Path) -> None:
    """Kept is delivered, waiting, quarantined and dropped, also after reopening."""
    spool = Spool(path)
    fill(spool, 1, 10)
    spool.acknowledge(spool.oldest(3)[-1].id)
    spool.set_aside(spool.oldest(1)[0].id, "nobody takes it")
    spool.append([(11, Poll(LAYOUT.identifier, 1, b""))], LAYOUTS, "c", '{"a": 1}')
    assert_closed(spool)
    before = spool.state
    assert (before.kept, before.delivered, before.waiting, before.quarantined) == (11, 3, 6, 1)
    assert (before.sequence, before.kept_of_channel, before.newest_ms) == (11, 11, 10)
    spool.close()
    spool = Spool(path)
    assert spool.state == before
    assert spool.state.book == '{"a": 1}'
    spool.close()


def test_when_the_spool_is_full_the_oldest_go_and_are_counted(path: Path) -> None:
    """`max_bytes` bounds what is kept; the newest polls are those that stay."""
    spool = Spool(path, Limits(max_bytes=400_000))
    for first in range(1, 101, 10):
        spool.append(large(first, first + 9, 10_000), LAYOUTS, "c")
        assert_closed(spool)
    kept = times(spool)
    assert 20 <= len(kept) < 40
    assert kept == list(range(101 - len(kept), 101))
    assert spool.state.dropped == {"the spool is full": 100 - len(kept)}
    spool.close()
    assert path.stat().st_size < 800_000


def test_what_is_too_old_goes_and_is_counted(path: Path) -> None:
    """`max_age_s` is measured against the newest poll, so no wall clock can empty a spool. When is noted, too."""
    spool = Spool(path, Limits(max_age_s=10))
    begun_ms = time.time_ns() // 1_000_000
    assert spool.state.dropped_ms == 0
    for second in range(1, 31):
        spool.append([(second, Poll(LAYOUT.identifier, second * 1000, b""))], LAYOUTS, "c")
        assert_closed(spool)
    assert times(spool) == [second * 1000 for second in range(20, 31)]
    assert spool.state.dropped == {"too old": 19}
    assert begun_ms <= spool.state.dropped_ms <= time.time_ns() // 1_000_000
    spool.close()


def test_on_a_disk_that_is_nearly_full_the_spool_does_not_grow(path: Path) -> None:
    """With less than `min_free_bytes` left, each new poll takes the place of the oldest."""
    spool = Spool(path, Limits(min_free_bytes=1 << 60))
    spool.append(large(1, 60, 100_000), LAYOUTS, "c")  # up to 4 MiB it may always grow
    size = spool.state.waiting
    for first in range(61, 121, 10):
        spool.append(large(first, first + 9, 100_000), LAYOUTS, "c")
        assert_closed(spool)
    assert spool.state.waiting <= size + 1
    assert times(spool)[-1] == 120
    assert set(spool.state.dropped) == {"the disk is nearly full"}
    spool.close()


def test_the_newest_poll_stays_however_small_the_limit(path: Path) -> None:
    """A limit below one poll keeps one poll."""
    spool = Spool(path, Limits(max_bytes=1))
    fill(spool, 1, 5)
    assert times(spool) == [5]
    assert_closed(spool)
    spool.close()

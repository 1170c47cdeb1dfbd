"""The ticks of one interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.control.ledger import Track, ticks_between


@pytest.mark.parametrize(
    ("earlier", "later", "ticks"),
    [(0, 1000, 0), (0, 1001, 1), (1, 1000, 0), (999, 1001, 1), (1000, 1000, 0), (1000, 3000, 1),
     (1500, 1600, 0), (3000, 1000, 0)],
)  # fmt: skip
def test_ticks_between_are_those_strictly_between(earlier: int, later: int, ticks: int) -> None:
    """Neither end counts."""
    assert ticks_between(earlier, later, 1000) == ticks


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 700))
def test_ticks_between_counts_multiples(earlier: int, later: int, interval: int) -> None:
    """It agrees with counting them one by one."""
    expected = sum(1 for t in range(earlier + 1, later) if t % interval == 0)
    assert ticks_between(earlier, later, interval) == expected


def test_a_track_that_has_not_begun_misses_nothing() -> None:
    """Whatever its first poll's time is."""
    assert Track(1000).poll(10**12) == 0


def test_a_track_begins_after_a_boundary_or_after_the_newest_poll() -> None:
    """Whichever is the later."""
    for newest_ms, after_ms in ((5000, 1000), (1000, 5000)):
        track = Track(1000)
        track.begin(newest_ms, after_ms)
        assert (track.newest_ms, track.poll(8000)) == (newest_ms, 2)


def test_ticks_are_counted_once_however_often_it_is_looked() -> None:
    """Up to and without the time that is given; also where that goes back."""
    track = Track(1000, 1000, 1000)
    for until_ms in (2500, 2500, 3001, 2000, 3001):
        track.count_until(until_ms)
    assert track.pending == 2
    assert track.poll(5000) == 3
    assert (track.pending, track.newest_ms) == (0, 5000)


def test_what_is_pending_goes_to_the_heir_with_its_reason() -> None:
    """And is told from its own last poll on."""
    gone = Track(100, 1000, 1000, excuse="down")
    gone.count_until(1301)
    heir = Track(500, 1200, 1300)
    heir.take_over(gone)
    assert (heir.newest_ms, heir.excuse, heir.poll(2000)) == (1000, "down", 4)

"""The account of ticks and polls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.control.ledger import Gap, Ledger, ticks_between
from pattoo_mp.messages import Account


def ledger_of(*timestamps: int, reason: str = "why") -> Ledger:
    """A ledger of one poll a second that saw these."""
    ledger = Ledger(1000)
    for timestamp in timestamps:
        ledger.poll(timestamp, reason)
    return ledger


def test_polls_at_every_tick_miss_nothing() -> None:
    """Each is counted, and there is no gap."""
    ledger = ledger_of(1000, 2000, 3000)
    assert (ledger.polled, ledger.last_poll_ms) == (3, 3000)
    assert not ledger.missed
    assert not ledger.gaps


def test_a_gap_is_kept_with_its_size_its_place_and_its_reason() -> None:
    """Two ticks lie strictly between these polls."""
    ledger = ledger_of(1000, 4000, reason="suspended")
    assert ledger.missed == {"suspended": 2}
    assert list(ledger.gaps) == [Gap(2, 1000, 4000, "suspended")]


def test_missed_ticks_are_counted_by_reason() -> None:
    """Several gaps of one reason add up; another reason is apart."""
    ledger = Ledger(1000)
    for timestamp, reason in ((1000, ""), (3000, "late"), (6000, "late"), (8000, "down")):
        ledger.poll(timestamp, reason)
    assert ledger.missed == {"late": 3, "down": 1}


def test_nothing_was_missed_before_the_first_poll() -> None:
    """The account begins with the first poll, whatever its time and its reason are."""
    ledger = ledger_of(10**12, reason="?")
    assert not ledger.missed


def test_a_first_poll_between_two_ticks_misses_none() -> None:
    """A poll at once on a start is followed by one at the next tick."""
    assert not ledger_of(1234, 2000, 3000).missed
    assert not ledger_of(1999, 2000).missed


def test_a_tick_missed_after_a_poll_between_two_ticks_is_counted() -> None:
    """2000 was missed, and only that."""
    assert ledger_of(1234, 3000).missed == {"why": 1}


def test_a_clock_that_went_back_misses_nothing() -> None:
    """There are no ticks between a time and an earlier one."""
    assert not ledger_of(5000, 2000, 3000).missed


def test_only_the_newest_gaps_are_kept() -> None:
    """The counts are of all."""
    ledger = ledger_of(*range(1000, 101_000, 2000))
    assert len(ledger.gaps) == 20
    assert ledger.gaps[-1].before_ms == 99_000
    assert ledger.missed == {"why": 49}


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


def test_a_changed_interval_misses_nothing_by_itself() -> None:
    """The last poll of the old interval, the first of the new one, and the next."""
    ledger = ledger_of(1000, 2000)
    ledger.change_interval(300, 2700)
    for timestamp in (3000, 3300):
        ledger.poll(timestamp, "why")
    assert not ledger.missed


def test_ticks_are_counted_by_the_interval_that_was_in_force() -> None:
    """3000 and 4000 of the old one up to 4500, then 4600 to 4900 of the new one: one gap."""
    ledger = ledger_of(1000, 2000)
    ledger.change_interval(100, 4500)
    assert ledger.poll(5000, "late") == Gap(6, 2000, 5000, "late")
    assert ledger.missed == {"late": 6}


def test_a_tick_at_the_moment_of_the_change_is_one_of_the_old_interval() -> None:
    """It is counted once, though it is a multiple of both."""
    ledger = ledger_of(1000)
    ledger.change_interval(500, 2000)
    ledger.poll(2500, "why")
    assert ledger.missed == {"why": 1}


def test_several_changes_without_a_poll_between_them_add_up() -> None:
    """2000 by the first, none by the second, 3000 to 3200 by the third."""
    ledger = ledger_of(1000)
    ledger.change_interval(10_000, 2500)
    ledger.change_interval(100, 2950)
    ledger.poll(3300, "why")
    assert ledger.missed == {"why": 4}


def test_a_change_before_anything_was_polled_counts_all_by_the_new_interval() -> None:
    """Also the ticks that the account of an earlier agent shows to be missing."""
    ledger = Ledger(1000)
    ledger.change_interval(500, 4700)
    ledger.settle(Account(kept=1, waiting=1, newest_ms=4000))
    ledger.poll(5500, "")
    assert ledger.missed == {"the agent was down": 2}


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3000), st.booleans()), max_size=20))
def test_every_tick_is_polled_or_missed_whatever_changes(
    steps: list[tuple[int, int, bool]],
) -> None:
    """It agrees with counting the ticks one by one, each by the interval of its time."""
    ledger, now, interval, ticks = ledger_of(1000), 1000, 1000, 0
    for another, pause, polled in steps:
        ticks += sum(1 for t in range(now + 1, now + pause + 1) if t % interval == 0)
        now += pause
        if polled and now % interval == 0 and now > ledger.last_poll_ms:
            ledger.poll(now, "why")
        else:
            ledger.change_interval(another, now)
            interval = another
    last = now + 10_000 // interval * interval + interval
    last -= last % interval
    ticks += sum(1 for t in range(now + 1, last + 1) if t % interval == 0)
    ledger.poll(last, "why")
    assert ledger.missed.total() + ledger.polled - 1 == ticks

"""The ledger of ticks and polls."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pattoo_mp.control.ledger import Gap, Ledger, Track, ticks_between
from pattoo_mp.model import CLOCK_LEAPED
from tests.support.spools import account_of


def ledger_of(*timestamps: int, reason: str = "why") -> Ledger:
    """A ledger with an interval of one second and polls at these times."""
    ledger = Ledger(1000)
    for timestamp in timestamps:
        ledger.poll(timestamp, reason, 1000)
    return ledger


def test_polls_at_every_tick_miss_nothing() -> None:
    """Each poll is counted, and there is no gap."""
    ledger = ledger_of(1000, 2000, 3000)
    assert (ledger.polled, ledger.last_poll_ms) == (3, 3000)
    assert not ledger.missed
    assert not ledger.gaps


def test_a_gap_is_kept_with_size_time_and_reason() -> None:
    """Two ticks lie strictly between these polls."""
    ledger = ledger_of(1000, 4000, reason="suspended")
    assert ledger.missed == {"suspended": 2}
    assert list(ledger.gaps) == [Gap(2, 1000, 4000, "suspended")]


def test_missed_ticks_are_counted_by_reason() -> None:
    """Gaps with the same reason add up; another reason is counted separately."""
    ledger = Ledger(1000)
    for timestamp, reason in ((1000, ""), (3000, "late"), (6000, "late"), (8000, "down")):
        ledger.poll(timestamp, reason, 1000)
    assert ledger.missed == {"late": 3, "down": 1}


def test_nothing_is_missed_before_the_first_poll() -> None:
    """The ledger begins with the first poll, whatever its time and reason."""
    ledger = ledger_of(10**12, reason="?")
    assert not ledger.missed


def test_a_first_poll_between_two_ticks_misses_none() -> None:
    """The immediate poll at a start is followed by one at the next tick."""
    assert not ledger_of(1234, 2000, 3000).missed
    assert not ledger_of(1999, 2000).missed


def test_a_tick_missed_after_a_poll_between_two_ticks_is_counted() -> None:
    """Only 2000 was missed."""
    assert ledger_of(1234, 3000).missed == {"why": 1}


def test_a_clock_that_went_back_misses_nothing() -> None:
    """There are no ticks between a time and an earlier one."""
    assert not ledger_of(5000, 2000, 3000).missed


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("from_ms", "days", "reason"),
    [
        (1_795_000_000_000, 40, CLOCK_LEAPED),
        (15_000, 20_000, CLOCK_LEAPED),  # 1970: no real-time clock, and then a time server
        (15_000, 20_000, "the agent was down"),  # restarted by that
    ],
)
def test_a_leap_of_the_clock_counts_no_ticks(from_ms: int, days: int, reason: str) -> None:
    """It is a gap with its times and reason. What is missed after it counts as ever."""
    ledger = ledger_of(from_ms, reason=reason)
    leap = Gap(0, from_ms, from_ms + days * DAY_MS, reason)
    assert ledger.poll(leap.before_ms, reason, 1000) == leap
    assert not ledger.missed
    assert ledger.poll(leap.before_ms + 3000, "late", 1000) is not None
    assert ledger.missed == {"late": 2}


@pytest.mark.parametrize(
    ("length_ms", "reason"),
    [(DAY_MS - 1000, CLOCK_LEAPED), (40 * DAY_MS, "the agent was down"), (40 * DAY_MS, "late")],
)
def test_ticks_that_came_without_a_poll_are_missed(length_ms: int, reason: str) -> None:
    """A host that was suspended for hours, or an agent that was down for weeks."""
    ledger = ledger_of(1_795_000_000_000, 1_795_000_000_000 + length_ms, reason=reason)
    assert ledger.missed == {reason: length_ms // 1000 - 1}


def test_a_leap_is_no_lag() -> None:
    """The figure goes to the server as a datapoint."""
    ledger = ledger_of(1_795_000_000_000, 1_795_000_000_000 + 40 * DAY_MS, reason=CLOCK_LEAPED)
    ledger.update_account(account_of(kept=2, delivered=1, delivered_ms=1_795_000_000_000))
    assert ledger.figures(0)[""]["lag"] == 0
    ledger.poll(1_795_000_002_000 + 40 * DAY_MS, "", 1000)
    assert ledger.figures(0)[""]["lag"] == 2000


def test_only_the_newest_gaps_are_kept() -> None:
    """The counts include all gaps."""
    ledger = ledger_of(*range(1000, 101_000, 2000))
    assert len(ledger.gaps) == 20
    assert ledger.gaps[-1].before_ms == 99_000
    assert ledger.missed == {"why": 49}


def test_a_changed_interval_alone_misses_nothing() -> None:
    """The last poll of the old interval, the first of the new one, and the next."""
    ledger = ledger_of(1000, 2000)
    ledger.change_intervals({300}, 2700)
    for timestamp in (3000, 3300):
        ledger.poll(timestamp, "why", 300)
    assert not ledger.missed


def test_ticks_are_counted_by_the_interval_that_was_in_force() -> None:
    """3000 and 4000 of the old one up to 4500, then 4600 to 4900 of the new one: one gap."""
    ledger = ledger_of(1000, 2000)
    ledger.change_intervals({100}, 4500)
    assert ledger.poll(5000, "late", 100) == Gap(6, 2000, 5000, "late")
    assert ledger.missed == {"late": 6}


def test_a_tick_at_the_time_of_the_change_belongs_to_the_old_interval() -> None:
    """It is counted once, although it is a multiple of both intervals."""
    ledger = ledger_of(1000)
    ledger.change_intervals({500}, 2000)
    ledger.poll(2500, "why", 500)
    assert ledger.missed == {"why": 1}


def test_several_changes_without_a_poll_between_them_add_up() -> None:
    """2000 by the first interval, none by the second, 3000 to 3200 by the third."""
    ledger = ledger_of(1000)
    ledger.change_intervals({10_000}, 2500)
    ledger.change_intervals({100}, 2950)
    ledger.poll(3300, "why", 100)
    assert ledger.missed == {"why": 4}


def test_a_change_before_the_first_poll_counts_all_by_the_new_interval() -> None:
    """Also the ticks missed since the last poll of an earlier agent."""
    ledger = Ledger(1000)
    ledger.change_intervals({500}, 4700)
    ledger.update_account(account_of(kept=1, waiting=1, newest_ms=4000))
    ledger.poll(5500, "", 500)
    assert ledger.missed == {"the agent was down": 2}


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3000), st.booleans()), max_size=20))
def test_every_tick_is_polled_or_missed_over_any_changes(
    steps: list[tuple[int, int, bool]],
) -> None:
    """The result equals counting the ticks one by one, each by the interval of its time."""
    ledger, now, interval, ticks, boundary = ledger_of(1000), 1000, 1000, 0, 1000
    for another, pause, polled in steps:
        ticks += sum(1 for t in range(now + 1, now + pause + 1) if t % interval == 0)
        now += pause
        # An interval has no poll at or before the boundary after which it began.
        if polled and now % interval == 0 and now > max(ledger.last_poll_ms, boundary):
            ledger.poll(now, "why", interval)
        else:
            ledger.change_intervals({another}, now)
            interval, boundary = another, now
    last = now + 10_000 // interval * interval + interval
    last -= last % interval
    ticks += sum(1 for t in range(now + 1, last + 1) if t % interval == 0)
    ledger.poll(last, "why", interval)
    assert ledger.missed.total() + ledger.polled - 1 == ticks


def two_tracks() -> Ledger:
    """A ledger with intervals of 0.1 s and 3 s, both polled at 3 s."""
    ledger = Ledger(100, 3000)
    for interval_ms in (100, 3000):
        ledger.poll(3000, "", interval_ms)
    return ledger


def test_each_interval_is_counted_by_its_own_ticks() -> None:
    """A gap belongs to one interval, and lies between polls of that interval."""
    ledger = two_tracks()
    assert ledger.poll(3300, "late", 100) == Gap(2, 3000, 3300, "late")
    assert ledger.poll(9000, "?", 3000) == Gap(1, 3000, 9000, "?")
    assert ledger.missed == {"late": 2, "?": 1}
    assert (ledger.intervals_ms, ledger.interval_ms, ledger.last_poll_ms) == (
        [100, 3000],
        100,
        9000,
    )
    assert ledger.polls_per_s == pytest.approx(10 + 1 / 3)


def test_the_first_poll_of_any_interval_begins_all_tracks() -> None:
    """A tick before the first poll of its own interval can be missed, too."""
    ledger = Ledger(1000, 3000)
    ledger.poll(2000, "", 1000)
    assert ledger.poll(6000, "late", 3000) == Gap(1, 2000, 6000, "late")


def test_after_a_restart_each_interval_continues_from_the_newest_poll() -> None:
    """Of any interval: each interval counts its own ticks missed during the agent's absence."""
    ledger = Ledger(1000, 3000)
    ledger.update_account(account_of(kept=1, waiting=1, newest_ms=2000))
    ledger.poll(7000, "?", 1000)
    ledger.poll(8000, "?", 1000)
    ledger.poll(9000, "?", 3000)
    assert ledger.missed == {"the agent was down": 6}
    assert [gap.ticks for gap in ledger.gaps] == [4, 2]


def test_a_change_does_not_affect_an_interval_that_stays() -> None:
    """Its ticks are counted from its own polls, whatever other intervals come and go."""
    ledger = two_tracks()
    ledger.change_intervals({500, 3000}, 4000)
    assert ledger.poll(9000, "late", 3000) == Gap(1, 3000, 9000, "late")


def test_pending_ticks_of_an_ended_interval_go_to_a_new_one() -> None:
    """3100, 3200 and 3300 of the old interval; 3500 and 4000 of the new one."""
    ledger = two_tracks()
    ledger.change_intervals({500, 3000}, 3300)
    assert ledger.poll(4500, "late", 500) == Gap(5, 3000, 4500, "late")


def test_pending_ticks_go_to_an_interval_that_stays_if_there_is_no_new_one() -> None:
    """A family moved into an existing group."""
    ledger = two_tracks()
    ledger.change_intervals({3000}, 3300)
    assert ledger.poll(6000, "late", 3000) == Gap(3, 3000, 6000, "late")


INTERVALS_MS = st.sets(st.integers(1, 700), min_size=1, max_size=3)


@given(
    INTERVALS_MS,
    st.lists(st.tuples(INTERVALS_MS, st.integers(0, 2000), st.booleans()), max_size=20),
)
def test_every_tick_of_every_interval_is_polled_or_missed(
    first: set[int], steps: list[tuple[set[int], int, bool]]
) -> None:
    """The result equals counting the ticks of each interval while it was in force."""
    # Not before 2020: what is longer than a day would be a leap of a clock that was not set.
    ledger, intervals, now, ticks = Ledger(*first), first, 1_795_000_000_001, 0
    for interval in first:
        ledger.poll(now, "", interval)
    for others, pause, is_polled in steps:
        ticks += sum((now + pause) // interval - now // interval for interval in intervals)
        now += pause
        if is_polled:
            for interval in intervals:
                if pause and now % interval == 0:
                    ledger.poll(now, "why", interval)
        else:
            ledger.change_intervals(others, now)
            intervals = others
    common = math.lcm(*intervals)
    assume(common < DAY_MS - 60_000)  # in a leap of a day no tick is missed
    last = (now // common + 1) * common
    for interval in intervals:
        ticks += last // interval - now // interval
        ledger.poll(last, "why", interval)
    assert ledger.missed.total() + ledger.polled - len(first) == ticks


def test_a_late_account_adds_the_gap_before_the_first_poll() -> None:
    """The spool was slow to open, so polls came before the account of an earlier agent."""
    ledger = ledger_of(10_000, 11_000)
    gaps = ledger.update_account(account_of(kept=5, newest_ms=6_000))
    assert gaps == [Gap(3, 6_000, 10_000, "the agent was down")] == list(ledger.gaps)
    assert ledger.missed == {"the agent was down": 3}
    assert ledger.poll(12_000, "", 1000) is None
    assert ledger.update_account(account_of(kept=8, newest_ms=12_000)) == []


def test_a_late_account_without_a_gap_adds_none() -> None:
    """The first poll came at the tick after the newest poll of an earlier agent, or there was none."""
    for newest_ms in (0, 9_000, 9_500, 11_000):
        ledger = ledger_of(10_000, 11_000)
        assert ledger.update_account(account_of(newest_ms=newest_ms)) == []
        assert not ledger.missed


def test_a_late_account_counts_by_the_intervals_at_the_first_poll() -> None:
    """Whatever changed since: the time after the first poll is counted already."""
    ledger = ledger_of(10_000, 11_000)
    ledger.change_intervals({500}, 11_700)
    ledger.poll(12_000, "late", 500)
    ledger.poll(13_000, "late", 500)
    gaps = ledger.update_account(account_of(kept=5, newest_ms=6_000))
    assert gaps == [Gap(3, 6_000, 10_000, "the agent was down")]
    assert ledger.missed == {"the agent was down": 3, "late": 1}


def test_a_late_account_keeps_the_newest_gaps() -> None:
    """Those of earlier processes are older than the time without an agent, and that is older than ours."""
    earlier = ledger_of(*range(1000, 40_000, 2000), reason="earlier")
    ledger = ledger_of(*range(50_000, 60_000, 2000), reason="late")
    ledger.update_account(account_of(kept=20, newest_ms=39_000, book=earlier.snapshot()))
    assert [gap.reason for gap in ledger.gaps] == ["earlier"] * 15 + ["the agent was down"] + [
        "late"
    ] * 4


# The ticks of one interval.


@pytest.mark.parametrize(
    ("earlier", "later", "ticks"),
    [(0, 1000, 0), (0, 1001, 1), (1, 1000, 0), (999, 1001, 1), (1000, 1000, 0), (1000, 3000, 1),
     (1500, 1600, 0), (3000, 1000, 0)],
)  # fmt: skip
def test_ticks_between_excludes_both_ends(earlier: int, later: int, ticks: int) -> None:
    """Neither end is counted."""
    assert ticks_between(earlier, later, 1000) == ticks


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 700))
def test_ticks_between_counts_multiples(earlier: int, later: int, interval: int) -> None:
    """The result equals counting them one by one."""
    expected = sum(1 for t in range(earlier + 1, later) if t % interval == 0)
    assert ticks_between(earlier, later, interval) == expected


def test_a_track_that_has_not_begun_misses_nothing() -> None:
    """Whatever the time of its first poll."""
    assert Track(1000).poll(10**12) == 0


def test_a_track_begins_after_a_boundary_or_after_the_newest_poll() -> None:
    """Whichever is later."""
    for newest_ms, after_ms in ((5000, 1000), (1000, 5000)):
        track = Track(1000)
        track.begin(newest_ms, after_ms)
        assert (track.newest_ms, track.poll(8000)) == (newest_ms, 2)


def test_ticks_are_counted_once_however_often_count_until_is_called() -> None:
    """Up to the given time, exclusively; also if that goes back."""
    track = Track(1000, 1000, 1000)
    for until_ms in (2500, 2500, 3001, 2000, 3001):
        track.count_until(until_ms)
    assert track.pending == 2
    assert track.poll(5000) == 3
    assert (track.pending, track.newest_ms) == (0, 5000)


def test_pending_ticks_go_to_the_successor_with_their_reason() -> None:
    """The gap begins at the last poll of the ended track."""
    ended = Track(100, 1000, 1000, excuse="down")
    ended.count_until(1301)
    successor = Track(500, 1200, 1300)
    successor.take_over(ended)
    assert (successor.newest_ms, successor.excuse, successor.poll(2000)) == (1000, "down", 4)


def test_ticks_that_are_missed_while_no_poll_comes_are_counted_once() -> None:
    """Also by the next agent, to which the snapshot goes."""
    ledger = Ledger(1000)
    ledger.update_account(account_of())
    ledger.poll(10_000, "", 1000)
    (gap,) = ledger.count_missed(15_500, "the collector hung")
    assert (gap.ticks, gap.after_ms, gap.before_ms) == (5, 10_000, 15_500)
    (gap,) = ledger.count_missed(17_500, "the collector hung")
    assert (gap.ticks, gap.after_ms) == (2, 15_499)
    after = ledger.poll(20_000, "late", 1000)
    assert after is not None
    assert (after.ticks, after.reason) == (2, "late")

    ledger.count_missed(25_500, "the collector hung")
    later = Ledger(1000)
    later.update_account(account_of(book=ledger.snapshot(is_last=True), newest_ms=20_000))
    later.poll(30_000, "", 1000)
    assert later.missed == {"the collector hung": 12, "late": 2, "the agent was down": 4}
    assert (later.gaps[-1].ticks, later.gaps[-1].after_ms) == (4, 25_499)

    # A snapshot that the spool stores with the poll of 20,000 knows nothing of what came later.
    after_kill = Ledger(1000)
    book = ledger.snapshot(Counter({"the collector hung": 5}), 1)
    after_kill.update_account(account_of(book=book, newest_ms=20_000))
    after_kill.poll(30_000, "", 1000)
    assert after_kill.missed == {"the collector hung": 7, "late": 2, "the agent was down": 9}


def test_the_newest_tick_is_the_latest_polled_or_reported() -> None:
    """One that was reported as missed is not polled later."""
    ledger = Ledger(1000, 5000, earlier_ms=7000)
    assert ledger.newest_tick_ms == 7000
    ledger.update_account(account_of(newest_ms=6000))
    assert (ledger.last_poll_ms, ledger.newest_tick_ms) == (6000, 7000)
    ledger.poll(8000, "why", 1000)
    assert ledger.newest_tick_ms == 8000
    assert ledger.missed == {
        "the agent was down": 1
    }  # 7000, whatever the earlier process knew of it
    ledger.count_missed(10_500, "why")
    assert ledger.newest_tick_ms == 10_499


def test_a_ledger_begins_anew_with_a_new_spool() -> None:
    """Someone has removed the old one: its polls had times far ahead, for example."""
    ledger = Ledger(1000, earlier_ms=7000)
    ledger.update_account(account_of())
    assert ledger.newest_tick_ms == 0

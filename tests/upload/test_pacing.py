"""Spacing and back-off."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.config.values import commit_s, spacing_s
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pacing import Backoff, Pace, offset_s
from pattoo_mp.upload.post import Attempt


def test_offsets_are_spread_evenly_and_stay_the_same() -> None:
    """Each agent has its own offset, the same at each start; together they fill the time."""
    offsets = [offset_s(f"agent {number}", 60) for number in range(2000)]
    assert offsets == [offset_s(f"agent {number}", 60) for number in range(2000)]
    assert min(offsets) >= 0
    assert max(offsets) < 60
    quartiles = statistics.quantiles(offsets, n=4)
    assert all(
        abs(found - wanted) < 2 for found, wanted in zip(quartiles, (15, 30, 45), strict=True)
    )


def test_without_jitter_every_post_goes_at_once() -> None:
    """Without jitter the offset is 0 for any agent."""
    assert offset_s("f" * 64, 0) == 0
    pace = Pace()
    for now in (10.0, 20.0):
        pace.polls_arrived(now)
        assert pace.not_before <= now


def test_the_first_post_goes_at_once_and_later_ones_at_the_offset() -> None:
    """Polls that arrive after a pause are posted at the agent's offset."""
    pace = Pace(7)
    pace.polls_arrived(100)
    assert pace.not_before <= 100
    pace.note_attempt(Attempt(polls=1), 100, 101)
    pace.polls_arrived(160)
    assert pace.not_before == 167


def test_posts_are_spaced_from_start_to_start_and_failures_from_their_end() -> None:
    """A slow answer does not make posts rarer; after a failure the whole delay passes."""
    pace = Pace()
    pace.note_attempt(Attempt(polls=1), 10, 13)
    assert pace.not_before == 11
    pace.note_attempt(Attempt("hangs", wait_s=4), 13, 43)
    assert pace.not_before == 47


def test_a_backlog_goes_once_a_second_whatever_the_spacing() -> None:
    """So do the smaller posts after a refusal."""
    pace = Pace(spacing_s=spacing_s(0.1))
    pace.note_attempt(Attempt(polls=100, more=True), 10, 10.5)
    assert pace.not_before == 11
    pace.note_attempt(Attempt("too large"), 11, 11.5)
    assert pace.not_before == 12.5
    pace.note_attempt(Attempt(polls=20), 13, 13.5)
    assert pace.not_before == 15


@pytest.mark.parametrize(
    ("interval_s", "span_s", "after_s"),
    [(0.1, 1.0, 0.5), (1, 1.0, 0.5), (1, 1.9, 0.9), (300, 300, 1), (0.1, 10, 1)],
)
def test_a_backlog_goes_at_least_twice_as_fast_as_it_came(
    interval_s: float, span_s: float, after_s: float
) -> None:
    """Otherwise a host whose polls fill a post in a second would never catch up."""
    pace = Pace(spacing_s=spacing_s(interval_s))
    pace.note_attempt(Attempt(polls=10, more=True, span_s=span_s), 10, 10.01)
    assert pace.not_before == pytest.approx(10 + after_s)


def test_a_new_spacing_applies_from_the_next_post_on() -> None:
    """It follows the interval, which a reload may change."""
    pace = Pace(spacing_s=spacing_s(1))
    pace.note_attempt(Attempt(polls=1), 10, 10.5)
    pace.spacing_s = spacing_s(0.1)
    assert pace.not_before == pytest.approx(10.9)
    pace.note_attempt(Attempt(polls=1), 11, 11.5)
    assert pace.not_before == 13


@pytest.mark.parametrize("interval_s", [1, 1.05, 1.5])
def test_a_late_post_does_not_make_all_later_ones_late(interval_s: float) -> None:
    """Each lags a little less, until posts go at the agent's offset again."""
    pace = Pace(0.1, spacing_s(interval_s))
    pace.polls_arrived(0)
    started = interval_s - 0.01  # the server took it then, just before the next poll
    lags = []
    for number in range(1, 15):
        pace.note_attempt(Attempt(polls=1), started, started + 0.005)
        came = number * interval_s
        if came > started:
            pace.polls_arrived(came)
        started = max(came, pace.not_before)
        lags.append(round(started - came, 6))
    assert lags == sorted(lags, reverse=True)
    assert lags[-1] == 0.1


@pytest.mark.parametrize(
    ("interval_s", "expected"), [(0.1, 1), (0.999, 1), (1, 0.9), (1.05, 0.945), (300, 1)]
)
def test_polls_that_come_faster_than_once_a_second_share_a_commit(
    interval_s: float, expected: float
) -> None:
    """Slower ones get one each, early enough that a late one does not delay the next."""
    assert commit_s(interval_s) == pytest.approx(expected)


# How long to wait after failures.


def longest(_low: float, high: float) -> float:
    """Draw the bound."""
    return high


def test_the_bound_doubles_up_to_thirty_seconds() -> None:
    """1, 2, 4 … and never more than 30 s, however long the server is away."""
    backoff = Backoff(longest)
    delays = [backoff.failed() for _ in range(2000)]
    assert delays[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert set(delays[7:]) == {30}


def test_the_delay_is_drawn_from_nothing_to_the_bound() -> None:
    """Full jitter: the agents of a site do not return at once."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    backoff = Backoff(draw)
    assert [backoff.failed() for _ in range(3)] == [0, 0, 0]
    assert drawn == [(0, 1), (0, 2), (0, 4)]


def test_a_success_resets_the_back_off() -> None:
    """The next failure counts as the first."""
    backoff = Backoff(longest)
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    assert [backoff.failed(), backoff.failed()] == [1, 2]


def test_a_delay_that_the_server_asked_for_is_added_to_the_drawn_one() -> None:
    """So the server gets its rest, and its agents do not all return at the same moment."""
    backoff = Backoff(longest)
    assert [backoff.failed(Fault.BUSY, 120) for _ in range(3)] == [121, 122, 124]


@given(st.lists(st.booleans(), max_size=60))
def test_a_real_delay_is_always_within_the_bounds(outcomes: list[bool]) -> None:
    """Whatever fails and succeeds, it is between 0 and 30 s."""
    backoff = Backoff()
    for delivered in outcomes:
        if delivered:
            backoff.succeeded()
        else:
            assert 0 <= backoff.failed() <= 30


def test_a_fault_for_the_operator_is_retried_rarely_and_not_in_step() -> None:
    """After 15 to 30 s from the first failure on, so agents refused together return apart."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(draw)
    assert [backoff.failed(Fault.DENIED), backoff.failed(Fault.NOT_PATTOO)] == [30, 30]
    assert drawn == [(15, 30), (15, 30)]
    real = Backoff()
    assert len({real.failed(Fault.DENIED) for _ in range(20)}) > 1

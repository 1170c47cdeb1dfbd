"""Recent counts, the drain rate, and the backlog."""

from __future__ import annotations

import pytest

from pattoo_mp.control.rates import (
    DrainRate,
    RecentCounts,
    backlog,
    gone_in_s,
    is_behind,
    usual_spacing_s,
    window_s,
)

WINDOW_S = 300.0


class Rig:
    """A count of polls, and a clock that moves only on request."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.polled = 0
        self.samples = 0
        self.recent = RecentCounts(lambda: self.now)

    def counts(self) -> dict[str, int]:
        """Return the counts, and count the calls."""
        self.samples += 1
        return {"polled": self.polled}

    def run(self, seconds: int, every: int = 1) -> None:
        """Advance the clock, with a message every `every` seconds."""
        for _ in range(0, seconds, every):
            self.now += every
            self.recent.record(WINDOW_S, self.counts)
            self.polled += 1

    def since(self) -> tuple[float, int]:
        """Return the period in seconds, and the polls counted in it."""
        seconds, counts = self.recent.since(WINDOW_S, {"polled": self.polled})
        return seconds, counts["polled"]


@pytest.fixture
def rig() -> Rig:
    """A rig without any samples."""
    return Rig()


def test_nothing_is_known_before_the_first_message(rig: Rig) -> None:
    """Zero polls in zero seconds."""
    rig.polled = 17
    assert rig.since() == (0.0, 0)


def test_after_a_start_all_of_it_is_recent(rig: Rig) -> None:
    """Counts from before the first message are not recent."""
    rig.polled = 17
    rig.run(60)
    assert rig.since() == (59.0, 60)


def test_later_only_the_window_is_recent(rig: Rig) -> None:
    """The period exceeds the window by at most one thirtieth."""
    rig.run(5000)
    seconds, polled = rig.since()
    assert 300 <= seconds <= 310
    assert polled == pytest.approx(seconds, abs=1)


def test_counts_before_the_window_are_not_recent(rig: Rig) -> None:
    """A burst is recent for five minutes."""
    rig.run(20)
    rig.polled += 1000
    rig.run(280)
    assert rig.since()[1] > 1000
    rig.run(40)
    assert rig.since()[1] < 350


def test_with_rare_messages_the_period_is_longer(rig: Rig) -> None:
    """With one message every ten minutes, the period begins at the last one before the window."""
    rig.run(3000, every=600)
    assert rig.since() == (600.0, 2)
    rig.now += 299
    assert rig.since() == (899.0, 2)
    rig.now += 1
    assert rig.since() == (300.0, 1)


def test_samples_are_few_however_many_messages_come(rig: Rig) -> None:
    """However many messages come, a window has at most about thirty samples."""
    for _ in range(10_000):
        rig.now += 0.1
        rig.recent.record(WINDOW_S, rig.counts)
    assert rig.samples <= 101
    assert len(rig.recent._samples) <= 32


def test_a_count_that_decreases_counts_as_zero(rig: Rig) -> None:
    """Polls counted as lost with a damaged spool may turn out to have arrived."""
    rig.polled = 9
    rig.run(1)
    rig.polled = 3
    assert rig.since()[1] == 0


@pytest.mark.parametrize(
    ("interval_ms", "expected"), [(10, 300), (100_000, 300), (300_000, 900), (86_400_000, 259_200)]
)
def test_the_window_holds_three_intervals(interval_ms: int, expected: float) -> None:
    """And at least five minutes."""
    assert window_s(interval_ms) == expected


# How fast a backlog goes, and when it will be gone.


class Clock:
    """A clock that moves only on request."""

    now = 50.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def drain_rate_of(*posts: tuple[float, int]) -> DrainRate:
    """Return the drain rate after posts: seconds since the previous one, and polls in it."""
    clock = Clock()
    made = DrainRate(clock)
    for seconds, polls in posts:
        clock.now += seconds
        made.record(polls)
    return made


def test_without_a_post_there_is_no_rate() -> None:
    """Nor after the server begins to fail."""
    made = drain_rate_of()
    assert made.polls_per_s() is None
    made.record(5)
    made.reset()
    assert made.polls_per_s() is None


def test_a_single_post_counts_as_one_per_second() -> None:
    """The next one is expected a second later: with a backlog it need not wait for a poll."""
    assert drain_rate_of((0, 100)).polls_per_s() == 100


def test_the_first_post_only_starts_the_measurement() -> None:
    """The polls of the first post were taken before the measured period."""
    assert drain_rate_of((0, 999), (2, 100), (2, 60)).polls_per_s() == 40


def test_only_the_last_posts_count() -> None:
    """So a server that became slow shows as slow."""
    quick, slow = [(1.0, 100)] * 50, [(10.0, 100)] * 20
    assert drain_rate_of(*quick, *slow).polls_per_s() == 10


def test_simultaneous_posts_give_no_infinite_rate() -> None:
    """Control was stopped, and received several messages at once."""
    assert drain_rate_of((0, 10), (0, 10)).polls_per_s() == 10


@pytest.mark.parametrize(
    ("polls_per_s", "new_per_s", "expected"),
    [(None, 1, None), (60.0, 10, 20.0), (10.0, 10, None), (5.0, 10, None), (1 / 3, 1e-6, 3000)],
)  # fmt: skip
def test_a_backlog_shrinks_by_the_difference_of_the_rates(
    polls_per_s: float | None, new_per_s: float, expected: float | None
) -> None:
    """A thousand polls, while new ones are added."""
    gone = gone_in_s(1000, polls_per_s, new_per_s)
    assert gone == (expected if expected is None else pytest.approx(expected, rel=1e-3))


@pytest.mark.parametrize(
    ("waited_s", "expected"), [(29.9, False), (30.1, True), (-5, False), (10**9, False)]
)
def test_a_poll_that_waited_for_three_posts_is_behind(waited_s: float, *, expected: bool) -> None:
    """Here that is half a minute; a time before 1970 is ignored."""
    now_ms = 10**12
    assert is_behind(now_ms - int(waited_s * 1000), 10_000, now_ms) == expected


@pytest.mark.parametrize(
    ("shortest_s", "expected"), [(0.01, 2), (0.999, 2), (1, 1), (10, 10), (300, 300)]
)
def test_posts_are_an_interval_apart(shortest_s: float, expected: float) -> None:
    """Polls that come faster than once a second are collected."""
    assert usual_spacing_s(shortest_s) == expected


def test_without_waiting_polls_nothing_is_behind() -> None:
    """0 means no poll, not one of 1970."""
    assert not is_behind(0, 1000, 10**12)


def test_a_backlog_has_rounded_figures() -> None:
    """Or null if there are none."""
    assert backlog(1000, 100 / 3, 1) == {"polls": 1000, "taken_per_s": 33.333, "gone_in_s": 30.9}
    assert backlog(1000, None, 1) == {"polls": 1000, "taken_per_s": None, "gone_in_s": None}
    assert backlog(0, None, 1) == {"polls": 0, "taken_per_s": None, "gone_in_s": None}

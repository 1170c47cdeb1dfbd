"""What was counted of late."""

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
    """A count of polls, and a clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.polled = 0
        self.taken = 0
        self.recent = RecentCounts(lambda: self.now)

    def counts(self) -> dict[str, int]:
        """The counts, and how often they were taken."""
        self.taken += 1
        return {"polled": self.polled}

    def run(self, seconds: int, every: int = 1) -> None:
        """Let time go by with a message every so many seconds."""
        for _ in range(0, seconds, every):
            self.now += every
            self.recent.record(WINDOW_S, self.counts)
            self.polled += 1

    def since(self) -> tuple[float, int]:
        """Over how many seconds is looked back, and how much was counted in them."""
        seconds, counts = self.recent.since(WINDOW_S, {"polled": self.polled})
        return seconds, counts["polled"]


@pytest.fixture
def rig() -> Rig:
    """One of which nothing is known yet."""
    return Rig()


def test_nothing_is_known_before_the_first_message(rig: Rig) -> None:
    """Zero in zero seconds."""
    rig.polled = 17
    assert rig.since() == (0.0, 0)


def test_after_a_start_all_of_it_is_recent(rig: Rig) -> None:
    """What was counted before the first message is not."""
    rig.polled = 17
    rig.run(60)
    assert rig.since() == (59.0, 60)


def test_later_only_the_window_is(rig: Rig) -> None:
    """And a little more: up to one thirtieth of it."""
    rig.run(5000)
    seconds, polled = rig.since()
    assert 300 <= seconds <= 310
    assert polled == pytest.approx(seconds, abs=1)


def test_what_happened_before_the_window_is_over(rig: Rig) -> None:
    """A burst is recent for five minutes, and then no more."""
    rig.run(20)
    rig.polled += 1000
    rig.run(280)
    assert rig.since()[1] > 1000
    rig.run(40)
    assert rig.since()[1] < 350


def test_long_silence_is_looked_back_upon(rig: Rig) -> None:
    """With one message in ten minutes the last of them is still known, with its time."""
    rig.run(3000, every=600)
    assert rig.since() == (600.0, 2)
    rig.now += 299
    assert rig.since() == (899.0, 2)
    rig.now += 1
    assert rig.since() == (300.0, 1)


def test_a_message_costs_next_to_nothing(rig: Rig) -> None:
    """However many come, the counts are taken thirty times in a window, and so many are kept."""
    for _ in range(10_000):
        rig.now += 0.1
        rig.recent.record(WINDOW_S, rig.counts)
    assert rig.taken <= 101
    assert len(rig.recent._samples) <= 32


def test_a_count_that_goes_back_is_none(rig: Rig) -> None:
    """What a damage took of the spool may turn out to have arrived."""
    rig.polled = 9
    rig.run(1)
    rig.polled = 3
    assert rig.since()[1] == 0


@pytest.mark.parametrize(
    ("interval_ms", "expected"), [(10, 300), (100_000, 300), (300_000, 900), (86_400_000, 259_200)]
)
def test_the_window_holds_three_intervals(interval_ms: int, expected: float) -> None:
    """And five minutes at least."""
    assert window_s(interval_ms) == expected


# How fast a backlog goes, and when it will be gone.


class Clock:
    """It stands still until it is told."""

    now = 50.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def drainage_of(*posts: tuple[float, int]) -> DrainRate:
    """One that saw posts: seconds after the one before, and polls in it."""
    clock = Clock()
    made = DrainRate(clock)
    for seconds, polls in posts:
        clock.now += seconds
        made.record(polls)
    return made


def test_without_a_post_there_is_no_speed() -> None:
    """Nor after the server began to fail."""
    made = drainage_of()
    assert made.polls_per_s() is None
    made.record(5)
    made.reset()
    assert made.polls_per_s() is None


def test_one_post_is_taken_for_many() -> None:
    """The next will come a second later: one that is behind waits for no poll."""
    assert drainage_of((0, 100)).polls_per_s() == 100


def test_the_speed_is_that_of_the_posts_between() -> None:
    """What the first one held was taken before the time that is measured."""
    assert drainage_of((0, 999), (2, 100), (2, 60)).polls_per_s() == 40


def test_only_the_last_posts_count() -> None:
    """A server that became slow is seen to be slow."""
    quick, slow = [(1.0, 100)] * 50, [(10.0, 100)] * 20
    assert drainage_of(*quick, *slow).polls_per_s() == 10


def test_posts_at_one_moment_are_no_infinite_speed() -> None:
    """What control heard at once, because it was stopped."""
    assert drainage_of((0, 10), (0, 10)).polls_per_s() == 10


@pytest.mark.parametrize(
    ("polls_per_s", "new_per_s", "expected"),
    [(None, 1, None), (60.0, 10, 20.0), (10.0, 10, None), (5.0, 10, None), (1 / 3, 1e-6, 3000)],
)  # fmt: skip
def test_a_backlog_is_gone_when_more_was_taken_than_came(
    polls_per_s: float | None, new_per_s: float, expected: float | None
) -> None:
    """A thousand polls; new ones come all the while."""
    gone = gone_in_s(1000, polls_per_s, new_per_s)
    assert gone == (expected if expected is None else pytest.approx(expected, rel=1e-3))


@pytest.mark.parametrize(
    ("waited_s", "expected"), [(29.9, False), (30.1, True), (-5, False), (10**9, False)]
)
def test_a_poll_that_waited_for_three_posts_is_behind(waited_s: float, *, expected: bool) -> None:
    """Here for half a minute; one of before 1970 is none."""
    now_ms = 10**12
    assert is_behind(now_ms - int(waited_s * 1000), 10_000, now_ms) == expected


@pytest.mark.parametrize(
    ("shortest_s", "expected"), [(0.01, 2), (0.999, 2), (1, 1), (10, 10), (300, 300)]
)
def test_posts_are_an_interval_apart(shortest_s: float, expected: float) -> None:
    """Polls that come faster than once a second wait for each other."""
    assert usual_spacing_s(shortest_s) == expected


def test_where_nothing_waits_nothing_is_behind() -> None:
    """0 stands for no poll, not for one of 1970."""
    assert not is_behind(0, 1000, 10**12)


def test_a_backlog_is_told_in_round_figures() -> None:
    """Or not at all, where there are none."""
    assert backlog(1000, 100 / 3, 1) == {"polls": 1000, "taken_per_s": 33.333, "gone_in_s": 30.9}
    assert backlog(1000, None, 1) == {"polls": 1000, "taken_per_s": None, "gone_in_s": None}
    assert backlog(0, None, 1) == {"polls": 0, "taken_per_s": None, "gone_in_s": None}

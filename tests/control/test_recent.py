"""What was counted of late."""

from __future__ import annotations

import pytest

from pattoo_mp.control.rates import RecentCounts, window_s

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
            self.recent.note(WINDOW_S, self.counts)
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
        rig.recent.note(WINDOW_S, rig.counts)
    assert rig.taken <= 101
    assert len(rig.recent._notes) <= 32


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

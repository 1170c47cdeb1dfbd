"""Which of several servers gets the posts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.failover import Preference

AFTER_S = 300.0


class Site:
    """Servers that are well or not, and who posts to them every `step_s`."""

    def __init__(self, count: int, step_s: float = 10.0) -> None:
        self.preference = Preference(count, AFTER_S)
        self.well = [True] * count
        self.now = 1000.0
        self.step_s = step_s
        self.looks: list[int] = []
        self.changes: list[tuple[float, int]] = [(self.now, 0)]

    def step(self) -> None:
        """One attempt, and what follows."""
        self.now += self.step_s
        preference = self.preference
        preference.tried(self.now, taken=self.well[preference.current])
        for number in preference.to_look_at(self.now):
            self.looks.append(number)
            if preference.is_next(number, self.now, well=self.well[number]):
                preference.take(number, self.now)
                self.changes.append((self.now, number))
                break

    def go_on(self, seconds: float) -> int:
        """Post for so long; which is current then."""
        until = self.now + seconds
        while self.now < until:
            self.step()
        return self.preference.current


def test_the_first_is_posted_to_as_long_as_it_takes_any() -> None:
    """And no other is looked at."""
    site = Site(3)
    assert site.go_on(10_000) == 0
    assert site.looks == []


def test_an_outage_that_is_short_changes_nothing() -> None:
    """The spool waits; nobody else is asked."""
    site = Site(2)
    site.well[0] = False
    assert site.go_on(AFTER_S) == 0
    site.well[0] = True
    assert site.go_on(1000) == 0
    assert site.looks == []


def test_outages_that_are_short_do_not_add_up() -> None:
    """One post that was taken begins the count anew."""
    site = Site(2)
    for _ in range(10):
        site.well[0] = False
        assert site.go_on(AFTER_S - 20) == 0
        site.well[0] = True
        assert site.go_on(10) == 0


def test_after_a_longer_one_the_next_that_is_well_has_its_place() -> None:
    """By preference, and not one that is ill as well."""
    site = Site(3)
    site.well[0] = site.well[1] = False
    assert site.go_on(AFTER_S + 10) == 2
    assert site.looks == [1, 2]


def test_where_all_are_ill_the_first_to_be_well_has_it() -> None:
    """Until then the same one is tried."""
    site = Site(3)
    site.well = [False, False, False]
    assert site.go_on(5000) == 0
    site.well[2] = True
    assert site.go_on(10) == 2
    site.well = [False, True, False]
    assert site.go_on(AFTER_S + 10) == 1


def test_one_that_is_preferred_is_gone_back_to_once_it_was_well_for_a_while() -> None:
    """At every look: one that is ill again in between has to begin anew."""
    site = Site(2)
    site.well[0] = False
    assert site.go_on(AFTER_S + 10) == 1
    site.well[0] = True
    assert site.go_on(AFTER_S - 10) == 1
    site.well[0] = False
    assert site.go_on(70) == 1
    site.well[0] = True
    assert site.go_on(AFTER_S - 10) == 1
    assert site.go_on(90) == 0


def test_it_is_looked_at_now_and_then_only() -> None:
    """A look is a request, and the posts wait for it."""
    site = Site(2, step_s=1)
    site.well[0] = False
    site.go_on(2 * AFTER_S)
    site.looks.clear()
    site.go_on(600)
    assert 9 <= len(site.looks) <= 11


def test_the_best_that_is_well_is_gone_back_to_in_the_end() -> None:
    """By way of another, if that was well before."""
    site = Site(3)
    site.well = [False, False, True]
    assert site.go_on(AFTER_S + 10) == 2
    site.well[1] = True
    assert site.go_on(2 * AFTER_S) == 1
    site.well[0] = True
    assert site.go_on(2 * AFTER_S) == 0


def test_where_the_other_fails_the_first_is_gone_back_to_without_a_wait() -> None:
    """Once that has failed for as long; nobody else takes anything."""
    site = Site(2)
    site.well[0] = False
    site.go_on(AFTER_S + 10)
    site.well = [True, False]
    assert site.go_on(AFTER_S + 10) == 0


def test_an_agent_that_posts_seldom_changes_too() -> None:
    """Less often than the time itself: at its next posts."""
    site = Site(2, step_s=3600)
    site.well[0] = False
    assert site.go_on(7200) == 1
    site.well[0] = True
    assert site.go_on(7200) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 700)), min_size=1, max_size=40
    )
)
def test_between_two_changes_the_time_has_passed(life: list[tuple[int, bool, int]]) -> None:
    """Whatever servers do, so nothing flaps."""
    site = Site(3)
    for number, well, seconds in life:
        site.well[number] = well
        site.go_on(seconds)
    assert all(after - before >= AFTER_S for (before, _), (after, _) in pairwise(site.changes))

"""How many different series somebody else may make."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.textfile import CardinalityLimit


@pytest.fixture
def now() -> list[float]:
    """The time (s), for a test to go on with."""
    return [1000.0]


@pytest.fixture
def admission(now: list[float]) -> CardinalityLimit[str]:
    """One for three."""
    return CardinalityLimit(3, lambda: now[0])


def test_the_first_ones_are_admitted(admission: CardinalityLimit[str]) -> None:
    """As many as there may be, and no more."""
    assert admission.admit("abcd") == set("abc")
    assert admission.admit("abcd") == set("abc")


def test_who_is_admitted_stays_whoever_comes_before_it(admission: CardinalityLimit[str]) -> None:
    """A chart does not end because another begins."""
    admission.admit("bcd")
    assert admission.admit("abcd") == set("bcd")


def test_what_comes_and_goes_does_not_make_room_at_once(
    admission: CardinalityLimit[str], now: list[float]
) -> None:
    """Labels that change all the time would make new series for ever."""
    admission.admit("abc")
    now[0] += 3600
    assert admission.admit("ade") == {"a"}
    assert admission.admit("acb") == set("abc")


def test_a_day_after_it_went_it_makes_room(
    admission: CardinalityLimit[str], now: list[float]
) -> None:
    """A host changes in a year; one may take its place."""
    admission.admit("abc")
    now[0] += 3600
    admission.admit("ab")
    now[0] += 86_399
    assert admission.admit("abd") == set("ab")
    now[0] += 1
    assert admission.admit("abd") == set("abd")
    assert admission.admit("abdc") == set("abd")

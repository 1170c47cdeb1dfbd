"""Counts, moments and rates in words."""

from __future__ import annotations

import pytest

from pattoo_mp.cli import words


def test_nothing_is_younger_than_now() -> None:
    """A poll of the future, of before the clock was set back."""
    assert (words.age(9_000, 7_500), words.age(7_500, 9_000)) == ("1.5 s", "0 ms")


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [(0, 300, "0 polls"), (3, 0, "0 polls"), (3000, 300, "10 polls/s"), (300, 301, "1 poll/s"),
     (30, 300, "6 polls/min"), (3, 900, "12 polls/h"), (3, 259_200, "0.042 polls/h")],
)  # fmt: skip
def test_a_rate_is_told_in_the_unit_that_fits(count: int, seconds: float, expected: str) -> None:
    """At least about one in the unit of time, if there is one that long."""
    assert words.rate(count, seconds, "poll") == expected

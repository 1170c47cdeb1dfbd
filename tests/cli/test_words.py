"""Tests of ages and rates as text."""

from __future__ import annotations

import pytest

from pattoo_mp.cli import words


def test_an_age_is_never_negative() -> None:
    """A poll's time can be ahead of the clock after the clock was set back."""
    assert (words.age(9_000, 7_500), words.age(7_500, 9_000)) == ("1.5 s", "0 ms")


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [(0, 300, "0 polls"), (3, 0, "0 polls"), (3000, 300, "10 polls/s"), (300, 301, "1 poll/s"),
     (30, 300, "6 polls/min"), (3, 900, "12 polls/h"), (3, 259_200, "0.042 polls/h")],
)  # fmt: skip
def test_a_rate_has_the_unit_that_fits(count: int, seconds: float, expected: str) -> None:
    """The shortest unit of time in which the rate is at least about 1; else the hour."""
    assert words.rate(count, seconds, "poll") == expected

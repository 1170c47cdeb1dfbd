"""Numbers, times and sizes in words."""

from __future__ import annotations

import pytest

from pattoo_mp.cli.status import words


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (-1, "0.0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (119, "119 s"), (120, "2 min"),
     (7_199, "120 min"), (7_200, "2 h"), (172_799, "48 h"), (172_800, "2 days")],
)  # fmt: skip
def test_a_duration_is_told_in_the_unit_that_fits(seconds: float, expected: str) -> None:
    """Two of a unit at least; a clock that was set back makes nothing younger than now."""
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (27_406_336, "27.4 MB"), (2e9, "2.0 GB")],
)
def test_a_size_is_told_in_the_unit_that_fits(count: float, expected: str) -> None:
    """In powers of ten."""
    assert words.size(count) == expected


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [(0, 300, "0 polls"), (3, 0, "0 polls"), (3000, 300, "10 polls/s"), (300, 301, "1 poll/s"),
     (30, 300, "6 polls/min"), (3, 900, "12 polls/h"), (3, 259_200, "0.042 polls/h")],
)  # fmt: skip
def test_a_rate_is_told_in_the_unit_that_fits(count: int, seconds: float, expected: str) -> None:
    """At least about one in the unit of time, if there is one that long."""
    assert words.rate(count, seconds, "poll") == expected

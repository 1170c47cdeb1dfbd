"""Times and sizes in words."""

from __future__ import annotations

import pytest

from pattoo_mp.util import text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"), (0.00042, "0.42 ms"), (0.0123, "12 ms"), (0.5, "500 ms"), (1.5, "1.5 s"),
        (90, "90 s"), (119.6, "120 s"), (120, "2 min"), (7200, "2 h"), (100_000, "28 h"),
        (30 * 86_400, "30 days"),
    ],
)  # fmt: skip
def test_a_time_has_the_unit_that_says_most(seconds: float, words: str) -> None:
    """From parts of a millisecond to days, in two digits or whole ones."""
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.2 kB"), (64_000_000, "64 MB"), (1e9, "1 GB"),
     (1.5e12, "1500 GB")],
)  # fmt: skip
def test_a_size_has_the_unit_that_says_most(count: float, words: str) -> None:
    """In powers of a thousand, as disks are sold."""
    assert text.size(count) == words


def test_intervals_are_told_as_they_are_set() -> None:
    """In seconds, exactly."""
    assert text.intervals([100, 1000, 86_400_000]) == "0.1 s, 1 s, 86400 s"

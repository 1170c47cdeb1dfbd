"""Counts in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pattoo_mp.util import text
from pattoo_mp.util.text import counted, printable

PACKAGE = Path(__file__).resolve().parents[2] / "pattoo_mp"
#: What the agent counts. A limit of the program (in capitals) is never one.
_BY_HAND = re.compile(
    r"(?:%d|[^A-Z]\}) "
    r"(?:polls|posts|ticks|datapoints|lines|times|troubles|workers|seconds|unsent posts)\b"
)


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 polls"), (1, "1 poll"), (2, "2 polls"), ("1", "1 poll")]
)
def test_one_is_told_in_the_singular(count: int | str, told: str) -> None:
    """And everything else in the plural."""
    assert counted(count, "poll") == told


def test_no_count_is_put_before_its_unit_by_hand() -> None:
    """A text that says '%d polls' says '1 polls' some day."""
    by_hand = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in PACKAGE.glob("**/*.py")
        for found in _BY_HAND.finditer(path.read_text())
    ]
    assert by_hand == []


# Times and sizes in words.


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


# Text of somebody else's, shown.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/a b é", "/srv/a b é"),
        ("a\nb\x1b[2J", r"a\nb\x1b[2J"),
        ("\udcff\u2028", r"\udcff\u2028"),
    ],
)
def test_a_text_is_one_line_that_a_terminal_does_not_act_on(text: str, shown: str) -> None:
    """What is no letter is told by its number, and so is what was no text."""
    assert printable(text) == shown

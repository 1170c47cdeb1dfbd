"""Counts, durations, sizes and foreign text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pattoo_mp.util import text
from pattoo_mp.util.text import counted, printable

PACKAGE = Path(__file__).resolve().parents[2] / "pattoo_mp"
#: Units that the agent counts. A constant (in capitals) never holds a count.
_BY_HAND = re.compile(
    r"(?:%d|[^A-Z]\}) "
    r"(?:polls|posts|ticks|datapoints|lines|times|troubles|workers|seconds|unsent posts)\b"
)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 polls"), (1, "1 poll"), (2, "2 polls"), ("1", "1 poll")]
)
def test_one_is_singular(count: int | str, shown: str) -> None:
    """All other counts use the plural."""
    assert counted(count, "poll") == shown


def test_no_message_formats_a_count_by_hand() -> None:
    """A text with '%d polls' would say '1 polls' some day."""
    by_hand = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in PACKAGE.glob("**/*.py")
        for found in _BY_HAND.finditer(path.read_text())
    ]
    assert by_hand == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"), (0.00042, "0.42 ms"), (0.0123, "12 ms"), (0.5, "500 ms"), (1.5, "1.5 s"),
        (90, "90 s"), (119.6, "120 s"), (120, "2 min"), (7200, "2 h"), (100_000, "28 h"),
        (30 * 86_400, "30 days"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    """From fractions of a millisecond to days, with two digits or a whole number."""
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.2 kB"), (64_000_000, "64 MB"), (1e9, "1 GB"),
     (1.5e12, "1500 GB")],
)  # fmt: skip
def test_sizes(count: float, words: str) -> None:
    """Units are powers of 1000, as disks are sold."""
    assert text.size(count) == words


def test_intervals() -> None:
    """In seconds, exactly."""
    assert text.intervals([100, 1000, 86_400_000]) == "0.1 s, 1 s, 86400 s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/a b é", "/srv/a b é"),
        ("a\nb\x1b[2J", r"a\nb\x1b[2J"),
        ("\udcff\u2028", r"\udcff\u2028"),
    ],
)
def test_foreign_text_is_escaped(text: str, shown: str) -> None:
    """Control characters and invalid UTF-8 are escaped."""
    assert printable(text) == shown

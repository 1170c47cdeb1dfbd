"""What a logging record becomes."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest

from pattoo_mp.log.line import Line, alike
from tests.log.records import line, record

NOON = 1_714_996_800.0


def test_a_message_is_one_line_that_a_terminal_does_not_act_on() -> None:
    """Line ends, escapes and names that are not UTF-8, of whoever made them up."""
    made = Line.of(record("%s failed", "/mnt/a\nERROR \x1b[2J\udcff"))
    assert made.text == r"/mnt/a\nERROR \x1b[2J\udcff failed"


def test_a_message_of_any_length_takes_bounded_memory() -> None:
    """It is cut, and says how much was cut off."""
    made = Line.of(record("x" * 20_000))
    assert len(made.text) < 8_100
    assert made.text.endswith("… (12000 characters more)")


def test_a_call_with_the_wrong_arguments_is_a_line_all_the_same() -> None:
    """A slip in a logging call neither ends a process nor hides what it meant to say."""
    assert Line.of(record("%d polls", "many")).text.startswith("%d polls (")


def test_a_traceback_is_kept_as_text() -> None:
    """The line holds no frame alive."""
    try:
        int("\udcff")
    except ValueError:
        made = Line.of(record("It failed.", exc_info=sys.exc_info()))
    assert made.traceback.endswith(r"with base 10: '\udcff'")


def test_lines_that_differ_in_their_figures_are_of_one_kind_if_the_call_says_so() -> None:
    """And else they are not: one device is not another."""
    of_one_kind = [Line.of(record("%d ticks missed", n, **alike("missed"))).kind for n in (1, 2)]
    assert of_one_kind[0] == of_one_kind[1]
    assert Line.of(record("sda%d fails", 1)).kind != Line.of(record("sda%d fails", 2)).kind


@pytest.mark.parametrize(
    ("repeated", "within_s", "words"),
    [(240, 3600, "240 times in the last hour"), (1, 10, "once in the last 10 seconds"),
     (3, 600, "3 times in the last 10 minutes"), (2, 60, "2 times in the last minute"),
     (9, 7200, "9 times in the last 2 hours")],
)  # fmt: skip
def test_the_count_is_told_in_words(repeated: int, within_s: int, words: str) -> None:
    """How often, and within what time."""
    made = line("No room.", repeated=repeated, within_s=within_s, last=NOON)
    assert replace(made, created=NOON + 1).message == f"No room. (the same {words})"
    at_noon = time.strftime("%H:%M:%S", time.localtime(NOON))
    assert (
        replace(made, created=NOON + 5).message == f"No room. (the same {words}, at {at_noon} last)"
    )

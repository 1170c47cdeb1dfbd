"""How lines are written."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import replace

import pytest

from pattoo_mp.log import line as formats
from pattoo_mp.log.line import Line, alike
from tests.log.records import line, record
from tests.support.agent import ROOT


def test_text_says_when_how_bad_who_and_what() -> None:
    """In one line, to the millisecond."""
    written = formats.text("control")(line("No room.", created=1_000_000_000.042))
    assert written.endswith(f",042 WARNING [control {os.getpid()}] No room.\n")


def test_json_is_an_object_in_one_line_whatever_it_holds() -> None:
    """Each documented field, with times in UTC; a traceback keeps its line ends within it."""
    told = line(
        "a\\nb „ü“",
        created=1_000_000_000.042,
        traceback="x\ny",
        repeated=2,
        within_s=60,
        last=1_000_000_000.0,
    )
    written = formats.json_lines("uploader")(told)
    assert written.count("\n") == 1
    assert json.loads(written) == {
        "time": "2001-09-09T01:46:40.042Z",
        "level": "warning",
        "program": "pattoo_agent_os_autonomousd",
        "process": "uploader",
        "pid": os.getpid(),
        "logger": "pattoo_mp.test",
        "message": "a\\nb „ü“",
        "traceback": "x\ny",
        "repeated": 2,
        "within_s": 60,
        "last": "2001-09-09T01:46:40.000Z",
    }
    described = (ROOT / "docs" / "logs.md").read_text()
    assert all(f"\n| `{name}` | " in described for name in json.loads(written))


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6),
     (logging.DEBUG, 7)],
)  # fmt: skip
def test_for_journald_each_line_has_its_priority_and_no_time(level: int, priority: int) -> None:
    """The lines of a traceback, too."""
    written = formats.journal("control")(line("No room.", level, traceback="x\ny"))
    who = f"[control {os.getpid()}]"
    assert written == f"<{priority}>{who} No room.\n<{priority}>x\n<{priority}>y\n"


def test_journald_is_known_by_its_descriptor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """JOURNAL_STREAM is inherited also by those whose stderr leads elsewhere."""
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert formats.is_journal(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    assert not formats.is_journal(writing)
    os.close(reading)
    os.close(writing)


# What a logging record becomes.

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

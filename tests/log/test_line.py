"""Log lines and their formats."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import replace

import pytest

from pattoo_mp.log import line as formats
from pattoo_mp.log.line import Line, grouped_as
from tests.log.records import line, record
from tests.support.agent import ROOT


def test_text_has_time_level_process_and_message() -> None:
    """On one line, with the time to the millisecond."""
    written = formats.text("control")(line("No room.", created=1_000_000_000.042))
    assert written.endswith(f",042 WARNING [control {os.getpid()}] No room.\n")


def test_json_is_an_object_on_one_line() -> None:
    """It has each documented field, with times in UTC. Line ends in a traceback are kept."""
    made = line(
        "a\\nb „ü“",
        created=1_000_000_000.042,
        traceback="x\ny",
        repeated=2,
        within_s=60,
        last=1_000_000_000.0,
    )
    written = formats.json_lines("uploader")(made)
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
def test_for_journald_each_line_has_a_priority_and_no_time(level: int, priority: int) -> None:
    """The lines of a traceback as well."""
    written = formats.journal("control")(line("No room.", level, traceback="x\ny"))
    who = f"[control {os.getpid()}]"
    assert written == f"<{priority}>{who} No room.\n<{priority}>x\n<{priority}>y\n"


def test_journald_is_recognised_by_the_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes with another stderr inherit JOURNAL_STREAM, too."""
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert formats.is_journal(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    assert not formats.is_journal(writing)
    os.close(reading)
    os.close(writing)


# --- from a logging record to a line

NOON = 1_714_996_800.0


def test_a_message_is_one_printable_line() -> None:
    """Line ends, escape sequences and invalid UTF-8 are escaped."""
    made = Line.of(record("%s failed", "/mnt/a\nERROR \x1b[2J\udcff"))
    assert made.text == r"/mnt/a\nERROR \x1b[2J\udcff failed"


def test_a_long_message_is_cut() -> None:
    """It is cut, and says how much is missing."""
    made = Line.of(record("x" * 20_000))
    assert len(made.text) < 8_100
    assert made.text.endswith("… (12000 characters more)")


def test_a_call_with_wrong_arguments_is_still_logged() -> None:
    """A mistake in a logging call neither ends a process nor hides the message."""
    assert Line.of(record("%d polls", "many")).text.startswith("%d polls (")


def test_a_traceback_is_kept_as_text() -> None:
    """The line keeps no stack frame alive."""
    try:
        int("\udcff")
    except ValueError:
        made = Line.of(record("It failed.", exc_info=sys.exc_info()))
    assert made.traceback.endswith(r"with base 10: '\udcff'")


class Text(str):
    """A text that an error shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text, with its line ends."""
        return str(self)


def test_a_traceback_that_is_cut_begins_with_a_whole_line() -> None:
    """Half of a line may be half of a secret, which nobody could find in it any more."""
    text = "\n".join(f"line {number} ends" for number in range(5_000))
    empty: dict[str, str] = {}
    try:
        empty[Text(text)]
    except KeyError:
        made = Line.of(record("It failed.", exc_info=sys.exc_info()))
    assert 31_000 < len(made.traceback) <= 32_000
    assert set(made.traceback.split("\n")) < set(text.split("\n"))


def test_grouped_lines_with_other_figures_are_of_one_kind() -> None:
    """Without `grouped_as`, lines about different devices are different."""
    of_one_kind = [
        Line.of(record("%d ticks missed", n, **grouped_as("missed"))).kind for n in (1, 2)
    ]
    assert of_one_kind[0] == of_one_kind[1]
    assert Line.of(record("sda%d fails", 1)).kind != Line.of(record("sda%d fails", 2)).kind


@pytest.mark.parametrize(
    ("repeated", "within_s", "words"),
    [(240, 3600, "240 times in the last hour"), (1, 10, "once in the last 10 seconds"),
     (3, 600, "3 times in the last 10 minutes"), (2, 60, "2 times in the last minute"),
     (9, 7200, "9 times in the last 2 hours")],
)  # fmt: skip
def test_the_count_in_words(repeated: int, within_s: int, words: str) -> None:
    """It says how often, in what time, and when last if that was a while ago."""
    made = line("No room.", repeated=repeated, within_s=within_s, last=NOON)
    assert replace(made, created=NOON + 1).message == f"No room. (repeated {words})"
    at_noon = time.strftime("%H:%M:%S", time.localtime(NOON))
    assert (
        replace(made, created=NOON + 5).message == f"No room. (repeated {words}, last at {at_noon})"
    )

"""How lines are written."""

from __future__ import annotations

import json
import logging
import os

import pytest

from pattoo_mp.log import line as formats
from tests.log.records import line
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

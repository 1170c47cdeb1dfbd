"""The status as text, kept as files: whoever changes it sees what a person will see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pattoo_mp.cli.advice import advice
from pattoo_mp.cli.status import line, report
from pattoo_mp.control.status import silent, stopped
from pattoo_mp.control.troubles import Code, Trouble, trouble
from tests.support.schema import check
from tests.support.statuses import (
    cannot_post,
    draining,
    much_trouble,
    no_polls,
    server_gone,
    status,
)

GOLDEN = Path(__file__).parent / "golden"
PID_FILE = Path("/var/lib/pattoo/pid/agent.pid")
STATUSES = {
    "well": status(),
    "server_gone": server_gone(),
    "cannot_post": cannot_post(),
    "draining": draining(),
    "no_polls": no_polls(),
    "much_trouble": much_trouble(),
    "silent": silent(6),
    "stopped": stopped(PID_FILE, Path("/etc/pattoo"), 0),
    "cut_short": stopped(PID_FILE, Path("/etc/pattoo"), 7635),
}


@pytest.mark.parametrize("name", STATUSES)
def test_a_report_is_as_it_was(name: str) -> None:
    """Line by line; a file that is to change is written anew by hand."""
    assert f"{report(STATUSES[name])}\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", STATUSES)
def test_a_line_is_as_it_was(name: str) -> None:
    """The status in one line, as `--watch` gives it to a pipe."""
    assert f"{line(STATUSES[name])}\n" == (GOLDEN / f"{name}.line.txt").read_text()


@pytest.mark.parametrize("name", STATUSES)
def test_the_statuses_shown_are_such_as_control_gives(name: str) -> None:
    """They keep to the schema, or the files would show what never comes."""
    check(STATUSES[name])


@pytest.mark.parametrize("code", Code)
def test_each_trouble_is_one_line_with_what_to_do(code: Code) -> None:
    """Whatever it is about."""
    shown: dict[str, Any] = much_trouble()
    line = advice(shown, trouble(code, "uploader" if code.startswith("worker") else ""))
    assert "\n" not in line
    assert line.count(". ") >= 1


def test_a_trouble_of_a_later_release_is_told_by_its_code() -> None:
    """The files were replaced under the agent, and not all of it is known here."""
    later: Trouble = {"code": "new_one", "subject": "", "since_ms": 0}
    assert advice(status(), later).startswith("new_one, which this command does not know. ")

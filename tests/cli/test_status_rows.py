"""The status in rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pattoo_mp.cli import status as status_verb
from pattoo_mp.cli.advice import advice
from pattoo_mp.cli.status_rows import rows
from pattoo_mp.control.status import silent, stopped
from pattoo_mp.control.troubles import Code, Trouble, trouble
from tests.support.schema import check
from tests.support.statuses import (
    NOON_MS,
    cannot_post,
    draining,
    much_trouble,
    no_polls,
    server_gone,
    status,
    worker,
)


def report(**changes: object) -> dict[str, str]:
    """The rows by their labels, of a status that is well but for what is said otherwise."""
    return {row.label.strip(): row.text for row in rows(status(**changes))}


def test_a_poll_that_is_not_accounted_for_is_shown() -> None:
    """An account that does not close is a defect, and nobody must look for it."""
    assert "Trouble" not in report()
    assert report(polls={"unaccounted": 2})["Trouble"].startswith("2 polls cannot be accounted for")


def test_posts_of_the_original_agent_are_told_if_there_were_any() -> None:
    """A line that most agents never show."""
    assert "Old posts" not in report()
    assert report(old_posts={"waiting": 1, "delivered": 2})["Old posts"] == (
        "2 of the original agent delivered, 1 waiting, 0 put aside"
    )


def test_the_last_gap_is_told_with_when_and_why() -> None:
    """Ticks, the polls before and after, and the reason."""
    gap = {"ticks": 3, "after_ms": NOON_MS, "before_ms": NOON_MS + 4000, "reason": "late"}
    assert report(gaps=[gap, gap])["Last gap"] == (
        "3 ticks between 2024-05-06 12:00:00.250 and 2024-05-06 12:00:04.250: late"
    )


def test_an_interval_below_a_second_is_told_exactly() -> None:
    """No rounding to 0 s."""
    assert report(interval_ms=100, intervals_ms=[100])["Last poll"].endswith(", every 0.1 s")


def test_each_interval_is_told() -> None:
    """Where groups of families have their own."""
    told = report(interval_ms=100, intervals_ms=[100, 60_000])
    assert told["Last poll"].endswith(", every 0.1 s, 60 s")


def test_a_control_process_of_an_earlier_release_has_one_interval() -> None:
    """It says so in one number."""
    assert report(intervals_ms=[])["Last poll"].endswith(", every 10 s")


def test_what_has_not_happened_yet_was_never() -> None:
    """Not in 1970."""
    told = report(polls={"last_ms": 0}, posts={"last_ms": 0})
    assert (told["Last poll"], told["Last post"]) == ("never, every 10 s", "never")


def test_a_worker_that_is_not_there_is_said_so() -> None:
    """With how often it was restarted, and why last."""
    gone = worker(pid=0, restarts=3, last_death="signal SIGKILL")
    assert report(workers={"uploader": gone})["Uploader"] == (
        "not running, restarted 3 times, last ended by signal SIGKILL"
    )


def test_missed_ticks_are_told_with_their_reasons() -> None:
    """The sum, and each reason."""
    told = report(missed={"the host was suspended": 5, "the collector was down": 2})
    assert told["Missed"] == "7 ticks (5 the host was suspended, 2 the collector was down)"


def test_an_error_that_lasts_is_told_with_its_beginning() -> None:
    """What, when last, since when."""
    failing = {"last_error": "Connection refused", "last_error_ms": NOON_MS + 500,
               "failing_since_ms": NOON_MS}  # fmt: skip
    assert report(posts=failing)["Last error"] == (
        "Connection refused (2024-05-06 12:00:00.750, failing since 2024-05-06 12:00:00.250)"
    )


def test_an_error_that_is_over_is_told_as_over() -> None:
    """A person need not do anything."""
    over = {"last_error": "status 500", "last_error_ms": NOON_MS}
    assert report(posts=over)["Last error"] == (
        "status 500 (2024-05-06 12:00:00.250, well again since)"
    )


def test_a_configuration_that_was_refused_is_told() -> None:
    """A line for each problem: the next start will be refused, too."""
    refused = {"problems": ["a.yaml: b: c: 0; expected 1"], "at_ms": NOON_MS}
    assert report(reload=refused)["Refused"] == (
        "a.yaml: b: c: 0; expected 1 (read 2024-05-06 12:00:00.250)"
    )


def test_polls_dropped_before_the_start_are_told_with_when() -> None:
    """Nothing of it is in what is recent."""
    told = report(polls={"dropped": {"the spool was damaged": 9}, "last_dropped_ms": NOON_MS})
    assert told["Trouble"].startswith("polls were dropped at 2024-05-06 12:00:00.250. ")


@pytest.mark.parametrize(
    ("fault", "end"),
    [("refused", ": the server is ill, or its disk is full: look at the server's log and disk"),
     ("late", ": look at the server, which may hang, and at the way to it, which may drop or be slow"),
     ("unreachable", ": see that http://pattoo:20201/ can be reached from here"),
     ("of_a_later_release", ": see that http://pattoo:20201/ can be reached from here"),
     ("not_pattoo", "sent when it does"), ("denied", "sent when it does")],
)  # fmt: skip
def test_what_to_do_about_a_server_goes_by_how_it_failed(fault: str, end: str) -> None:
    """One that was reached need not be looked for; what the error says is not said again."""
    gone = server_gone()
    told = report(polls=gone["polls"], posts={**gone["posts"], "last_fault": fault})
    assert told["Trouble"].endswith(end)


def test_the_troubles_come_first() -> None:
    """At 3 a.m. nobody reads on to the end."""
    assert [row.label for row in rows(server_gone())][:2] == ["Trouble", "Control"]


def test_what_a_person_should_look_at_is_marked() -> None:
    """And nothing of an agent that is well."""
    assert [row.label for row in rows(status()) if row.bad] == []
    assert [row.label for row in rows(server_gone()) if row.bad] == [
        "Trouble", "Waiting", "Last error",
    ]  # fmt: skip


def test_the_use_of_the_processor_is_that_since_the_last_look() -> None:
    """Of a process that was there then; of a new one, since its start."""
    now = status()
    before = status(now_ms=NOON_MS - 1_000, control={"cpu_s": 3.1})
    before["workers"]["uploader"] = worker(pid=99)
    told = {row.label: row.text.rpartition(", ")[2] for row in rows(now, before)}
    assert told["Control"] == "50.0% CPU"
    assert told["Collector"] == "0.0% CPU"
    assert told["Uploader"] == "1.0% CPU"


def test_a_clock_that_was_set_back_makes_nobody_busy() -> None:
    """A process that began at a time that is to come: nobody knows for how long it has run."""
    assert report(control={"started_ms": NOON_MS + 3_600_000})["Control"].endswith(" MB")


def test_troubles_of_workers_follow() -> None:
    """What the host does not give, on one line whatever its name; and a disk that takes nothing."""
    told = report(
        workers={
            "collector": worker(troubles={"disk_usage /a\nb": "PermissionError"}),
            "uploader": worker(troubles={"spool": "disk full"}),
        }
    )
    assert list(told.items())[-2:] == [
        ("collector", r"disk_usage /a\nb: PermissionError"),
        ("uploader", "spool: disk full"),
    ]


def test_what_waits_for_this_host_is_not_said_to_wait_for_the_server() -> None:
    """Nor is the speed told that it had before."""
    backlog = {"polls": 1, "taken_per_s": 0.1, "gone_in_s": None}
    uploader = worker(troubles={"posts": "the spool: database is locked"})
    waiting = report(backlog=backlog, workers={"uploader": uploader})["Waiting"]
    assert waiting == "1 poll, the oldest 250 ms old"


# The status as text, kept as files: whoever changes it sees what a person will see.

GOLDEN = Path(__file__).parent / "golden_status"
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
    assert f"{status_verb.report(STATUSES[name])}\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", STATUSES)
def test_a_line_is_as_it_was(name: str) -> None:
    """The status in one line, as `--watch` gives it to a pipe."""
    assert f"{status_verb.line(STATUSES[name])}\n" == (GOLDEN / f"{name}.line.txt").read_text()


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

"""The status as rows, as text and in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pattoo_mp.cli import status as status_verb
from pattoo_mp.cli.advice import advice
from pattoo_mp.cli.status_rows import rows
from pattoo_mp.control.status import silent, stopped
from pattoo_mp.control.troubles import Code, Trouble, trouble
from pattoo_mp.program import SPOKE, acting_as
from tests.support.schema import check
from tests.support.statuses import (
    NOON_MS,
    cannot_post,
    draining,
    much_trouble,
    no_polls,
    server_gone,
    status,
    two_outputs,
    worker,
)


def report(**changes: object) -> dict[str, str]:
    """The rows by label, of a status that is well except for `changes`."""
    return {row.label.strip(): row.text for row in rows(status(**changes))}


def test_a_poll_that_is_not_accounted_for_is_shown() -> None:
    """An account that does not add up is a defect, so it is shown as a trouble."""
    assert "Trouble" not in report()
    assert report(polls={"unaccounted": 2})["Trouble"].startswith("2 polls cannot be accounted for")


def test_posts_of_the_original_agent_are_shown_if_there_were_any() -> None:
    """Most agents never show this row."""
    assert "Old posts" not in report()
    assert report(old_posts={"waiting": 1, "delivered": 2})["Old posts"] == (
        "of the original agent: 2 delivered, 1 waiting, 0 set aside"
    )


def test_the_last_gap_is_shown_with_its_times_and_reason() -> None:
    """The ticks, the times of the polls before and after, and the reason."""
    gap = {"ticks": 3, "after_ms": NOON_MS, "before_ms": NOON_MS + 4000, "reason": "late"}
    assert report(gaps=[gap, gap])["Last gap"] == (
        "3 ticks between 2024-05-06 12:00:00.250 and 2024-05-06 12:00:04.250: late"
    )


def test_an_interval_below_a_second_is_exact() -> None:
    """It is not rounded to 0 s."""
    assert report(interval_ms=100, intervals_ms=[100])["Last poll"].endswith(", every 0.1 s")


def test_each_interval_is_shown() -> None:
    """Groups of families may have their own intervals."""
    shown = report(interval_ms=100, intervals_ms=[100, 60_000])
    assert shown["Last poll"].endswith(", every 0.1 s, 60 s")


def test_a_control_process_of_an_earlier_release_has_one_interval() -> None:
    """Its status has `interval_ms` only."""
    assert report(intervals_ms=[])["Last poll"].endswith(", every 10 s")


def test_a_time_of_0_is_never() -> None:
    """It is not shown as 1970."""
    shown = report(polls={"last_ms": 0, "delivered": 0}, posts={"last_ms": 0})
    assert (shown["Last poll"], shown["Last post"]) == ("never, every 10 s", "never")


def test_an_agent_that_delivered_before_its_restart_has_no_post_since_the_start() -> None:
    """`never` would contradict the row Delivered."""
    shown = report(posts={"last_ms": 0})
    assert (shown["Last post"], shown["Delivered"]) == ("none since the start", "999 polls")


def test_the_log_is_named_with_the_zone_of_all_times() -> None:
    """Troubles refer to the log; an earlier release's status does not name it."""
    shown = report(log_file="/var/log/pattoo/pattoo.log")
    assert shown["Log"] == "/var/log/pattoo/pattoo.log; times are UTC+0000"
    assert "Log" not in report()


@pytest.mark.parametrize("named", ["servers", "ip_address and ip_bind_port"])
def test_the_advice_names_the_settings_in_force(named: str) -> None:
    """Those that name the server, not those that could."""
    gone = server_gone()
    posts = {**gone["posts"], "last_fault": "no_name", "named_by": named}
    assert f"correct the name in {named}," in report(polls=gone["polls"], posts=posts)["Trouble"]


def test_a_server_that_answers_can_be_reached() -> None:
    """501, for example: something else is wrong than the way to it."""
    gone = server_gone()
    posts = {
        **gone["posts"], "last_fault": "unreachable",
        "last_error": "status 501 Not Implemented: '<html>'", "named_by": "servers",
    }  # fmt: skip
    trouble = report(polls=gone["polls"], posts=posts)["Trouble"]
    assert "can be reached" not in trouble
    assert trouble.endswith(
        "something answers, but not as pattoo does: check the server's log, and servers"
    )


def test_a_missing_worker_is_shown_as_not_running() -> None:
    """With its number of restarts and the last cause."""
    gone = worker(pid=0, restarts=3, last_death="signal SIGKILL")
    assert report(workers={"uploader": gone})["Uploader"] == (
        "not running, restarted 3 times, last ended by signal SIGKILL"
    )


def test_missed_ticks_are_shown_with_their_reasons() -> None:
    """The total, and the count for each reason."""
    shown = report(missed={"the host was suspended": 5, "the collector was down": 2})
    assert shown["Missed"] == "7 ticks (the host was suspended: 5, the collector was down: 2)"


def test_a_lasting_error_is_shown_with_its_start() -> None:
    """The error, its last time, and its first."""
    failing = {"last_error": "Connection refused", "last_error_ms": NOON_MS + 500,
               "failing_since_ms": NOON_MS}  # fmt: skip
    assert report(posts=failing)["Last error"] == (
        "Connection refused (2024-05-06 12:00:00.750, failing since 2024-05-06 12:00:00.250)"
    )


@pytest.mark.parametrize(
    ("next_post_ms", "expected"),
    [(NOON_MS + 12_000, ", next attempt in 12 s)"), (NOON_MS, ", next attempt now)"),
     (NOON_MS - 5, ", next attempt now)"), (0, ".250)")],
)  # fmt: skip
def test_the_next_attempt_is_shown_while_posts_fail(next_post_ms: int, expected: str) -> None:
    """In how many seconds, or that it is due; nothing where it is not known."""
    failing = {"last_error": "Connection refused", "last_error_ms": NOON_MS,
               "failing_since_ms": NOON_MS, "next_post_ms": next_post_ms}  # fmt: skip
    assert report(posts=failing)["Last error"].endswith(expected)


def test_a_past_error_is_shown_as_past() -> None:
    """The operator need not do anything."""
    over = {"last_error": "status 500", "last_error_ms": NOON_MS}
    assert report(posts=over)["Last error"] == (
        "status 500 (2024-05-06 12:00:00.250, no error since)"
    )


def test_a_refused_reload_is_shown() -> None:
    """A row for each problem, as the next start would fail, too."""
    refused = {"problems": ["a.yaml: b: c: 0; expected 1"], "at_ms": NOON_MS}
    assert report(reload=refused)["Reload refused"] == (
        "a.yaml: b: c: 0; expected 1 (read 2024-05-06 12:00:00.250)"
    )


def test_polls_dropped_before_the_start_are_shown_with_their_time() -> None:
    """`recent` does not contain them."""
    shown = report(polls={"dropped": {"the spool was damaged": 9}, "last_dropped_ms": NOON_MS})
    assert shown["Trouble"].startswith("polls were dropped at 2024-05-06 12:00:00.250. ")


@pytest.mark.parametrize(
    ("fault", "end"),
    [("refused", ": the server is failing, or its disk is full: check the server's log and disk"),
     ("late", ": check the server, which may hang, and the network to it, which may be slow or drop packets"),
     ("unreachable", ": check that http://pattoo:20201/ can be reached from this host"),
     ("of_a_later_release", ": check that http://pattoo:20201/ can be reached from this host"),
     ("not_pattoo", "sent once it does"), ("denied", "sent once it does")],
)  # fmt: skip
def test_the_advice_depends_on_the_fault(fault: str, end: str) -> None:
    """A server that was reached needs no network check; the error is not repeated."""
    gone = server_gone()
    shown = report(polls=gone["polls"], posts={**gone["posts"], "last_fault": fault})
    assert shown["Trouble"].endswith(end)


@pytest.mark.parametrize(
    ("fault", "error", "end"),
    [("refused", "status 400 Bad Request: 'unsupported path'", ": check the path in url, and the server's log"),
     ("unreachable", "status 500 Internal Server Error: 'no'",
      ": something answers, but not as a remote write receiver does: check the server's log, and url"),
     ("late", "late", ": check the server, which may hang, and the network to it, which may be slow or drop packets")],
)  # fmt: skip
def test_the_advice_on_a_receiver_of_remote_write_is_not_that_on_pattoo(
    fault: str, error: str, end: str
) -> None:
    """A wrong path is answered with 400, and the setting is called url."""
    gone = server_gone()
    posts = {**gone["posts"], "last_fault": fault, "last_error": error, "named_by": "url"}
    assert report(polls=gone["polls"], posts=posts)["Trouble"].endswith(end)


def test_the_troubles_come_first() -> None:
    """At 3 a.m. few people read to the end."""
    assert [row.label for row in rows(server_gone())][:2] == ["Trouble", "Control"]


def test_bad_news_is_marked() -> None:
    """No row of an agent that is well is marked."""
    assert [row.label for row in rows(status()) if row.bad] == []
    assert [row.label for row in rows(server_gone()) if row.bad] == [
        "Trouble", "Waiting", "Last error",
    ]  # fmt: skip


def test_cpu_use_is_that_since_the_last_status() -> None:
    """A process that started since then has its CPU use since its start."""
    now = status()
    before = status(now_ms=NOON_MS - 1_000, control={"cpu_s": 3.1})
    before["workers"]["uploader"] = worker(pid=99)
    shown = {row.label: row.text.rpartition(", ")[2] for row in rows(now, before)}
    assert shown["Control"] == "50.0% CPU"
    assert shown["Collector"] == "0.0% CPU"
    assert shown["Uploader"] == "1.0% CPU"


def test_cpu_use_is_omitted_after_the_clock_was_set_back() -> None:
    """With a start time in the future it is not known for how long the process has run."""
    assert report(control={"started_ms": NOON_MS + 3_600_000})["Control"].endswith(" MB")


def test_troubles_of_workers_come_last() -> None:
    """A source that fails, on one line whatever its name; and a full disk."""
    shown = report(
        workers={
            "collector": worker(troubles={"disk_usage /a\nb": "PermissionError"}),
            "uploader": worker(troubles={"spool": "disk full"}),
        }
    )
    assert list(shown.items())[-2:] == [
        ("collector", r"disk_usage /a\nb: PermissionError"),
        ("uploader", "spool: disk full"),
    ]


def test_polls_that_wait_for_this_host_do_not_blame_the_server() -> None:
    """Neither the server nor its earlier speed is mentioned."""
    backlog = {"polls": 1, "taken_per_s": 0.1, "gone_in_s": None}
    uploader = worker(troubles={"posts": "the spool: database is locked"})
    waiting = report(backlog=backlog, workers={"uploader": uploader})["Waiting"]
    assert waiting == "1 poll, the oldest 250 ms old"


# The status as text, compared with golden files, so that a change of the texts can be reviewed.

GOLDEN = Path(__file__).parent / "golden_status"
PID_FILE = Path("/var/lib/pattoo/pid/agent.pid")
STATUSES = {
    "well": status(),
    "server_gone": server_gone(),
    "cannot_post": cannot_post(),
    "draining": draining(),
    "no_polls": no_polls(),
    "much_trouble": much_trouble(),
    "two_outputs": two_outputs(),
    "silent": silent(6),
    "stopped": stopped(PID_FILE, Path("/etc/pattoo"), 0),
    "cut_short": stopped(PID_FILE, Path("/etc/pattoo"), 7635),
}


@pytest.mark.parametrize("name", STATUSES)
def test_the_text_matches_the_golden_file(name: str) -> None:
    """Line by line; edit the file by hand for an intended change."""
    assert f"{status_verb.as_text(STATUSES[name])}\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", STATUSES)
def test_the_line_matches_the_golden_file(name: str) -> None:
    """The status in one line, as `--watch` prints it to a pipe."""
    assert f"{status_verb.as_line(STATUSES[name])}\n" == (GOLDEN / f"{name}.line.txt").read_text()


@pytest.mark.parametrize("name", STATUSES)
def test_the_statuses_shown_match_the_schema(name: str) -> None:
    """Otherwise the golden files would show what control never sends."""
    check(STATUSES[name])


@pytest.mark.parametrize("code", Code)
def test_each_trouble_is_one_line_with_advice(code: Code) -> None:
    """For every code there is."""
    shown: dict[str, Any] = much_trouble()
    shown["workers"]["uploader"]["left_behind"] = [{"pid": 5, "since_ms": 1, "place": "memory"}]
    shown["spokes"] = {"lasting": 5, "count": 9, "well": 4}
    line = advice(shown, trouble(code, "uploader" if code.startswith("worker") else ""))
    assert "\n" not in line
    assert line.count(". ") >= 1


def test_a_hub_without_polls_is_told_to_look_at_its_spokes() -> None:
    """Its collector is rarely to blame."""
    shown: dict[str, Any] = much_trouble() | {"spokes": {"well": 0, "count": 9}}
    assert "0 of 9 answer" in advice(shown, trouble(Code.NO_POLLS, since_ms=5))


def test_an_unknown_trouble_is_shown_by_its_code() -> None:
    """The agent is of a later release than the command."""
    later: Trouble = {"code": "new_one", "subject": "", "since_ms": 0}
    assert advice(status(), later).startswith("new_one, a code that this command does not know. ")


@pytest.mark.parametrize("name", ["b", "metrics", "m" * 32])
def test_the_table_of_outputs_is_at_most_80_columns_wide(name: str) -> None:
    """Also with names of 32 characters and large figures; a name is never cut."""
    shown = two_outputs(name)
    shown["outputs"][1]["polls"] |= {"delivered": 4_000_000_000, "in_spool": 99_999_999}
    lines = [row.text for row in rows(shown) if not row.label]
    assert max(map(len, lines)) <= 78
    assert any(line.startswith(name) for line in lines)
    assert any("4000000000" in line for line in lines)


def test_an_agent_with_one_output_is_shown_without_a_table() -> None:
    """Line by line as by a release that knew one output only."""
    one = two_outputs()
    one["outputs"] = one["outputs"][:1]
    assert [r.text for r in rows(status())] == [r.text for r in rows({**one, "troubles": []})]


def test_the_rates_of_several_outputs_are_their_sum() -> None:
    """Each poll is made once, and posted once for each."""
    shown = two_outputs()
    shown["outputs"][1]["recent"] |= {"posts": 60, "sent_bytes": 603_000}
    (rates,) = [row.text for row in rows(shown) if row.label == "Rates"]
    assert rates == "6 polls/min, 18 posts/min, 4 kB/s, over the last 5 min"


@pytest.mark.parametrize("code", Code)
def test_advice_names_the_log_of_the_program(code: Code) -> None:
    """Each program has its own."""
    shown: dict[str, Any] = much_trouble()
    shown["workers"]["uploader"]["left_behind"] = [{"pid": 5, "since_ms": 1, "place": "memory"}]
    shown["spokes"] = {"lasting": 5, "count": 9, "well": 4}
    found = trouble(code, "uploader" if code.startswith("worker") else "")
    with acting_as(SPOKE):
        text = advice(shown, found)
        assert "pattoo.log" not in text
    assert advice(shown, found) == text.replace(SPOKE.log_name, "pattoo.log")

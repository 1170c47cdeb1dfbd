"""The status in words."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pattoo_mp.cli.report import lines

NOON_MS = int(datetime(2024, 5, 6, 12, 0, 0, 250_000).astimezone().timestamp() * 1000)


def worker(**more: object) -> dict[str, Any]:
    """A worker that runs since noon, but for what is said otherwise."""
    well = {"pid": 7, "started_ms": NOON_MS, "restarts": 0, "last_death": "", "troubles": {}}
    return {**well, **more}


def report(**more: object) -> dict[str, str]:
    """The report by its labels, of a status that is well but for what is said otherwise."""
    status: dict[str, Any] = {
        "control": {"pid": 6, "started_ms": NOON_MS},
        "workers": {"collector": worker(), "uploader": worker(pid=8)},
        "interval_ms": 300_000,
        "polls": {
            "polled": 10, "last_ms": NOON_MS, "in_channel": 1, "in_spool": 2,
            "delivered": 4, "dropped": {"too old": 3}, "quarantined": 5, "since_start": 6,
            "unaccounted": 0,
        },
        "missed": {},
        "gaps": [],
        "old_posts": {"waiting": 0, "delivered": 0, "put_aside": 0},
        "posts": {"count": 9, "server": "http://pattoo:20201/", "last_ms": NOON_MS, "last_error": "", "last_error_ms": 0,
                  "failing_since_ms": 0},
    }  # fmt: skip
    for name, change in more.items():
        status[name] = {**status[name], **change} if isinstance(change, dict) else change
    rows = [re.fullmatch(r"  (.{15})(.*)", line) for line in lines(status)]
    return {row[1].strip(): row[2] for row in rows if row is not None}


def test_a_status_that_is_well_has_these_lines() -> None:
    """In this order, with times of the host's zone."""
    noon = "2024-05-06 12:00:00.250"
    assert list(report().items()) == [
        ("Control", f"process 6 since {noon}"),
        ("Collector", f"process 7 since {noon}"),
        ("Uploader", f"process 8 since {noon}"),
        ("Last poll", f"{noon}, every 300 s"),
        ("Server", "http://pattoo:20201/"),
        ("Last post", noon),
        ("Polled", "10 polls, 6 since the start"),
        ("Delivered", "4 polls"),
        ("Waiting", "3 polls"),
        ("Dropped", "3 polls (3 too old)"),
        ("Quarantine", "5 polls"),
        ("Missed", "0 ticks"),
        ("Last error", "none"),
    ]


def test_a_poll_that_is_not_accounted_for_is_shown() -> None:
    """An account that does not close is a defect, and nobody must look for it."""
    assert "Unaccounted" not in report()
    assert report(polls={"unaccounted": 2})["Unaccounted"].startswith("2 polls")


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
    assert report(interval_ms=100)["Last poll"].endswith(", every 0.1 s")


def test_what_has_not_happened_yet_was_never() -> None:
    """Not in 1970."""
    told = report(polls={"last_ms": 0}, posts={"last_ms": 0})
    assert (told["Last poll"], told["Last post"]) == ("never, every 300 s", "never")


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


def test_troubles_of_workers_follow() -> None:
    """What the host does not give, and a disk that takes nothing."""
    told = report(
        workers={
            "collector": worker(troubles={"cpu_freq": "PermissionError"}),
            "uploader": worker(troubles={"spool": "disk full"}),
        }
    )
    assert list(told.items())[-2:] == [
        ("collector", "cpu_freq: PermissionError"),
        ("uploader", "spool: disk full"),
    ]

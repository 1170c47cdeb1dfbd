"""Which troubles a status speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from pattoo_mp.control.troubles import troubles
from tests.support.statuses import NOON_MS, status, worker

MINUTE_MS = 60_000


def codes(**changes: object) -> list[str]:
    """The troubles of a status that is well but for what is said."""
    return [str(trouble["code"]) for trouble in troubles(status(**changes))]


def collector(**more: object) -> dict[str, Any]:
    """The workers, with a collector of which this is so."""
    return {"collector": worker(**more)}


def behind(seconds: float, *, last_post: float | None = None) -> dict[str, Any]:
    """A poll has waited so long, and the last post was taken before it, or then."""
    ago = seconds if last_post is None else last_post
    return {
        "polls": {"oldest_waiting_ms": NOON_MS - int(seconds * 1000)},
        "posts": {"last_ms": NOON_MS - int(ago * 1000)},
    }


def test_an_agent_that_is_well_has_none() -> None:
    """Not even with a past: old errors, deaths and drops are over."""
    assert codes() == []
    assert codes(
        workers=collector(restarts=9, last_death="signal SIGKILL",
                          deaths_ms=[NOON_MS - n * 10 * MINUTE_MS for n in (5, 4, 3, 2, 1)]),
        polls={"dropped": {"too old": 7}, "quarantined": 3},
        posts={"last_error": "Connection refused", "last_error_ms": NOON_MS - 90_000},
        missed={"the agent was down": 70},
    ) == []  # fmt: skip


@pytest.mark.parametrize(("seconds", "expected"), [(29.9, []), (30.1, ["server_takes_nothing"])])
def test_a_server_that_takes_nothing_for_three_posts_time_is_one(
    seconds: float, expected: list[str]
) -> None:
    """Here, at a post every ten seconds, half a minute."""
    assert codes(**behind(seconds)) == expected


def test_a_posts_time_may_be_longer_than_an_interval() -> None:
    """Where posts are put off, by post_jitter, or to one a second."""
    for seconds, expected in ((179, []), (181, ["server_takes_nothing"])):
        told = behind(seconds)
        told["posts"]["spacing_ms"] = 60_000
        assert codes(**told) == expected


def test_a_server_that_works_a_backlog_off_is_none() -> None:
    """The oldest poll is of yesterday, and the last post was taken just now."""
    assert codes(**behind(86_400, last_post=5)) == []


def test_a_server_that_is_not_asked_is_none() -> None:
    """The host slept for a day, and the first poll after that is on its way."""
    assert codes(**behind(1, last_post=86_400)) == []
    assert codes(polls={"oldest_waiting_ms": 0}, posts={"last_ms": NOON_MS - 10**9}) == []


def test_a_new_agent_with_an_old_backlog_has_three_posts_time() -> None:
    """What it found waiting is not the fault of a server that it has only just asked."""
    waiting = {"polls": {"oldest_waiting_ms": NOON_MS - 10**9}, "posts": {"last_ms": 0}}
    assert codes(control={"started_ms": NOON_MS - 29_000}, **waiting) == []
    assert codes(control={"started_ms": NOON_MS - 31_000}, **waiting) == ["server_takes_nothing"]


def test_the_servers_trouble_began_when_it_last_took_something() -> None:
    """Or when there was something to take again."""
    (found,) = troubles(status(**behind(90, last_post=60)))
    assert found["since_ms"] == NOON_MS - 60_000
    (found,) = troubles(status(**behind(60, last_post=90)))
    assert found["since_ms"] == NOON_MS - 60_000


def test_a_clock_that_was_set_back_hides_no_server_that_fails() -> None:
    """Polls and posts are of the future then; the failure is not."""
    told = behind(-3600)
    assert codes(**told) == []
    told["posts"]["failing_since_ms"] = NOON_MS - 29_000
    assert codes(**told) == []
    told["posts"]["failing_since_ms"] = NOON_MS - 31_000
    assert codes(**told) == ["server_takes_nothing"]


def test_a_worker_that_is_not_there_is_one() -> None:
    """Whether it was there before or not."""
    assert codes(workers=collector(pid=0, restarts=1, deaths_ms=[NOON_MS])) == ["worker_gone"]
    assert codes(workers=collector(pid=0)) == ["worker_gone"]


def test_a_worker_that_is_about_to_be_started_is_none() -> None:
    """In the first seconds of control; but one that died in them is one."""
    new = {"started_ms": NOON_MS - 1000}
    assert codes(control=new, workers=collector(pid=0)) == []
    assert codes(control=new, workers=collector(pid=0, deaths_ms=[NOON_MS])) == ["worker_gone"]


def test_a_clock_that_was_set_back_makes_no_trouble_and_hides_none() -> None:
    """Deaths and a start that are to come: nobody died of late, and nobody is new."""
    ahead = NOON_MS + 60 * MINUTE_MS
    assert codes(workers=collector(deaths_ms=[ahead, ahead, ahead])) == []
    gone = collector(pid=0, deaths_ms=[ahead])
    assert codes(control={"started_ms": ahead}, workers=gone) == ["worker_gone"]


def test_a_worker_that_ended_three_times_of_late_is_one() -> None:
    """Twice may be an accident. Whether it is there at this moment does not matter."""
    deaths_ms = [NOON_MS - n * MINUTE_MS for n in (4, 3, 2)]
    assert codes(workers=collector(deaths_ms=deaths_ms[1:])) == []
    for pid in (0, 7):
        (found,) = troubles(status(workers=collector(pid=pid, deaths_ms=deaths_ms)))
        assert found == {
            "code": "worker_dies", "subject": "collector", "since_ms": deaths_ms[0],
        }  # fmt: skip


def test_a_worker_that_dies_at_each_poll_is_one_at_any_interval() -> None:
    """Three times in three intervals, however long they are."""
    deaths_ms = [NOON_MS - n * 60 * MINUTE_MS for n in (3, 2, 1)]
    quiet = {"last_ms": NOON_MS, "oldest_waiting_ms": 0}
    assert codes(interval_ms=60 * MINUTE_MS, workers=collector(deaths_ms=deaths_ms), polls=quiet) == [
        "worker_dies"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interval_ms", "silent_ms", "expected"),
    [(10_000, 29_000, []), (10_000, 31_000, ["no_polls"]), (100, 9_000, []),
     (100, 11_000, ["no_polls"])],
)  # fmt: skip
def test_a_collector_that_polls_nothing_is_one(
    interval_ms: int, silent_ms: int, expected: list[str]
) -> None:
    """For three intervals, and for ten seconds."""
    quiet = {"last_ms": NOON_MS - silent_ms, "oldest_waiting_ms": 0}
    assert codes(interval_ms=interval_ms, polls=quiet) == expected


def test_a_new_collector_has_time_for_its_first_poll() -> None:
    """The last poll is of the one before it, an hour ago."""
    old = {"last_ms": NOON_MS - 60 * MINUTE_MS, "oldest_waiting_ms": 0}
    assert codes(polls=old, workers=collector(started_ms=NOON_MS - 5_000)) == []
    assert codes(polls=old, workers=collector(pid=0)) == ["worker_gone"]


@pytest.mark.parametrize(
    ("notes", "failing_ago_ms", "expected"),
    [({"posts": "the spool: database is locked"}, None, ["cannot_post"]),
     ({"posts": "the spool: database is locked"}, 31_000, ["server_takes_nothing"]),
     ({"spool": "disk full"}, None, ["spool_takes_nothing"]),
     ({"spool": "disk full", "posts": "the spool: disk full"}, None, ["spool_takes_nothing"]),
     ({"spool": "disk full"}, 31_000, ["spool_takes_nothing", "server_takes_nothing"])],
)  # fmt: skip
def test_what_this_host_lacks_is_not_told_as_the_servers_fault(
    notes: dict[str, str], failing_ago_ms: int | None, expected: list[str]
) -> None:
    """A server that fails beside it is; and a fault that keeps nobody waiting is a note alone."""
    told = behind(31)
    told["workers"] = {"uploader": worker(troubles=notes)}
    if failing_ago_ms is not None:
        told["posts"]["failing_since_ms"] = NOON_MS - failing_ago_ms
    assert codes(**told) == expected
    lately = {**told, **behind(29)}
    assert codes(**lately) == [code for code in expected if code == "spool_takes_nothing"]


def test_a_spool_that_takes_nothing_is_one() -> None:
    """Other complaints of workers are for a person to read, not to get up for."""
    assert codes(workers={"uploader": worker(troubles={"spool": "disk full"})}) == [
        "spool_takes_nothing"
    ]
    assert codes(workers=collector(troubles={"cpu_freq": "PermissionError"})) == []


def test_an_uploader_that_keeps_nothing_is_one_and_the_server_is_not() -> None:
    """Polls wait in memory for three intervals, and the server was never asked."""

    def waiting(seconds: int, **posts: object) -> list[str]:
        since_ms = NOON_MS - seconds * 1000
        polls = {"in_channel": 9, "oldest_in_channel_ms": since_ms, "oldest_waiting_ms": since_ms}
        return codes(polls=polls, posts={"last_ms": since_ms, **posts})

    assert waiting(29) == []
    assert waiting(31) == ["nothing_kept"]
    assert waiting(31, failing_since_ms=NOON_MS - 31_000) == [
        "nothing_kept",
        "server_takes_nothing",
    ]


def test_a_new_uploader_has_time_to_keep_what_waited_for_it() -> None:
    """And one that is not there is told as that."""
    polls = {"in_channel": 9, "oldest_in_channel_ms": NOON_MS - 10 * MINUTE_MS}
    assert codes(polls=polls, workers={"uploader": worker(started_ms=NOON_MS - 5_000)}) == []
    assert codes(polls=polls, workers={"uploader": worker(pid=0)}) == ["worker_gone"]


def test_a_full_disk_is_no_fault_of_the_servers() -> None:
    """Nothing was offered to it."""
    full = {"uploader": worker(troubles={"spool": "disk full"})}
    told = behind(90)
    told["polls"]["oldest_in_channel_ms"] = NOON_MS - 89_000
    assert codes(workers=full, **told) == ["spool_takes_nothing"]
    told["posts"]["failing_since_ms"] = NOON_MS - 90_000
    assert codes(workers=full, **told) == ["spool_takes_nothing", "server_takes_nothing"]


@pytest.mark.parametrize(("ahead_s", "expected"), [(9, []), (11, ["times_ahead"])])
def test_times_that_are_to_come_are_one(ahead_s: int, expected: list[str]) -> None:
    """A clock that was set back by a little is caught up with soon."""
    assert codes(polls={"last_ms": NOON_MS + ahead_s * 1000}) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"recent": {"dropped": 1}}, "dropping"), ({"recent": {"quarantined": 1}}, "quarantine"),
     ({"polls": {"unaccounted": -1}}, "unaccounted")],
)  # fmt: skip
def test_polls_that_are_lost_are_one(changes: dict[str, Any], code: str) -> None:
    """Dropped or set aside of late; or not accounted for, whenever that was."""
    assert codes(**changes) == [code]


def test_polls_that_were_lost_at_the_start_are_one() -> None:
    """The spool was damaged, and what is recent began only after that; it is over in time."""
    dropped = {"dropped": {"the spool was damaged": 9}, "last_dropped_ms": NOON_MS - 4 * MINUTE_MS}
    assert codes(polls=dropped) == ["dropping"]
    assert codes(polls={**dropped, "last_dropped_ms": NOON_MS - 6 * MINUTE_MS}) == []
    assert codes(polls={**dropped, "last_dropped_ms": NOON_MS + MINUTE_MS}) == []


def test_the_gravest_comes_first() -> None:
    """A worker that is not there before a server that is not there."""
    told = behind(60)
    assert codes(recent={"dropped": 1}, workers={"uploader": worker(pid=0)}, **told) == [
        "worker_gone", "server_takes_nothing", "dropping",
    ]  # fmt: skip

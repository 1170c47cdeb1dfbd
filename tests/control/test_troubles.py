"""The troubles derived from a status."""

from __future__ import annotations

from typing import Any

import pytest

from pattoo_mp.control.outputs import HUB, HUB_SPACING_MS
from pattoo_mp.control.troubles import troubles
from tests.support.statuses import NOON_MS, status, worker

MINUTE_MS = 60_000


def codes(**changes: object) -> list[str]:
    """The trouble codes of a good status with these changes."""
    return [str(trouble["code"]) for trouble in troubles(status(**changes))]


def collector(**more: object) -> dict[str, Any]:
    """The workers, with a collector that has these properties."""
    return {"collector": worker(**more)}


def behind(seconds: float, *, last_post: float | None = None) -> dict[str, Any]:
    """The oldest poll has waited for `seconds`, and so long ago, or `last_post` s ago, was the last post."""
    ago = seconds if last_post is None else last_post
    return {
        "polls": {"oldest_waiting_ms": NOON_MS - int(seconds * 1000)},
        "posts": {"last_ms": NOON_MS - int(ago * 1000)},
    }


def test_an_agent_that_is_well_has_no_trouble() -> None:
    """Old errors, deaths and drops do not count."""
    assert codes() == []
    assert codes(
        workers=collector(restarts=9, last_death="signal SIGKILL",
                          deaths_ms=[NOON_MS - n * 10 * MINUTE_MS for n in (5, 4, 3, 2, 1)]),
        polls={"dropped": {"too old": 7}, "quarantined": 3},
        posts={"last_error": "Connection refused", "last_error_ms": NOON_MS - 90_000},
        missed={"the agent was down": 70},
    ) == []  # fmt: skip


@pytest.mark.parametrize(("seconds", "expected"), [(29.9, []), (30.1, ["server_takes_nothing"])])
def test_a_server_that_takes_nothing_for_the_time_of_three_posts(
    seconds: float, expected: list[str]
) -> None:
    """With a post every ten seconds, that is half a minute."""
    assert codes(**behind(seconds)) == expected


def test_the_spacing_of_posts_may_be_longer_than_an_interval() -> None:
    """If posts are delayed by post_jitter, or limited to one a second."""
    for seconds, expected in ((179, []), (181, ["server_takes_nothing"])):
        changes = behind(seconds)
        changes["posts"]["spacing_ms"] = 60_000
        assert codes(**changes) == expected


def test_a_server_that_takes_a_backlog_is_no_trouble() -> None:
    """The oldest poll is from yesterday, and the last post was just now."""
    assert codes(**behind(86_400, last_post=5)) == []


def test_a_server_that_gets_no_posts_is_no_trouble() -> None:
    """The host was suspended for a day, and its first poll after that has just been made."""
    assert codes(**behind(1, last_post=86_400)) == []
    assert codes(polls={"oldest_waiting_ms": 0}, posts={"last_ms": NOON_MS - 10**9}) == []


def test_a_new_agent_with_an_old_backlog_has_the_time_of_three_posts() -> None:
    """The server is not to blame for a backlog that it has just begun to get."""
    waiting = {"polls": {"oldest_waiting_ms": NOON_MS - 10**9}, "posts": {"last_ms": 0}}
    assert codes(control={"started_ms": NOON_MS - 29_000}, **waiting) == []
    assert codes(control={"started_ms": NOON_MS - 31_000}, **waiting) == ["server_takes_nothing"]


def test_the_trouble_of_the_server_began_with_its_last_post() -> None:
    """Or when there were polls to take again."""
    (found,) = troubles(status(**behind(90, last_post=60)))
    assert found["since_ms"] == NOON_MS - 60_000
    (found,) = troubles(status(**behind(60, last_post=90)))
    assert found["since_ms"] == NOON_MS - 60_000


def test_a_journal_that_another_process_holds_is_a_trouble_of_its_own() -> None:
    """It hides no other trouble, and the spool takes polls."""
    held = {"uploader": worker(troubles={"journal": "8 MB"})}
    assert codes(workers=held) == ["journal_held"]
    assert codes(workers=held, **behind(31)) == ["server_takes_nothing", "journal_held"]


def test_a_clock_that_was_set_back_hides_no_server_that_fails() -> None:
    """The times of polls and posts are then in the future; that of the failure is not."""
    changes = behind(-3600)
    assert codes(**changes) == []
    changes["posts"]["failing_since_ms"] = NOON_MS - 29_000
    assert codes(**changes) == []
    changes["posts"]["failing_since_ms"] = NOON_MS - 31_000
    assert codes(**changes) == ["server_takes_nothing"]


def test_a_missing_worker_is_a_trouble() -> None:
    """Whether it ran before or not."""
    assert codes(workers=collector(pid=0, restarts=1, deaths_ms=[NOON_MS])) == ["worker_gone"]
    assert codes(workers=collector(pid=0)) == ["worker_gone"]


def test_a_process_that_cannot_be_killed_is_a_trouble() -> None:
    """Even if another one works beside it."""
    left = [{"pid": 5, "since_ms": NOON_MS - 1000, "place": "memory"}]
    (found,) = troubles(status(workers=collector(left_behind=left)))
    assert found == {
        "code": "worker_hangs", "subject": "collector", "since_ms": NOON_MS - 1000,
    }  # fmt: skip


def test_a_worker_that_is_about_to_start_is_no_trouble() -> None:
    """In the first seconds of control, unless it has died in them."""
    new = {"started_ms": NOON_MS - 1000}
    assert codes(control=new, workers=collector(pid=0)) == []
    assert codes(control=new, workers=collector(pid=0, deaths_ms=[NOON_MS])) == ["worker_gone"]


def test_a_clock_that_was_set_back_makes_no_trouble_and_hides_none() -> None:
    """Deaths and a start with times in the future: no death is recent, and no agent is new."""
    ahead = NOON_MS + 60 * MINUTE_MS
    assert codes(workers=collector(deaths_ms=[ahead, ahead, ahead])) == []
    gone = collector(pid=0, deaths_ms=[ahead])
    assert codes(control={"started_ms": ahead}, workers=gone) == ["worker_gone"]


def test_a_worker_that_exited_three_times_recently_is_a_trouble() -> None:
    """Twice may be an accident. Whether it runs at this moment does not matter."""
    deaths_ms = [NOON_MS - n * MINUTE_MS for n in (4, 3, 2)]
    assert codes(workers=collector(deaths_ms=deaths_ms[1:])) == []
    for pid in (0, 7):
        (found,) = troubles(status(workers=collector(pid=pid, deaths_ms=deaths_ms)))
        assert found == {
            "code": "worker_dies", "subject": "collector", "since_ms": deaths_ms[0],
        }  # fmt: skip


def test_a_worker_that_dies_at_each_poll_is_a_trouble_at_any_interval() -> None:
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
def test_a_collector_that_polls_nothing_is_a_trouble(
    interval_ms: int, silent_ms: int, expected: list[str]
) -> None:
    """For three intervals, and at least ten seconds."""
    quiet = {"last_ms": NOON_MS - silent_ms, "oldest_waiting_ms": 0}
    assert codes(interval_ms=interval_ms, polls=quiet) == expected


def test_a_new_collector_has_time_for_its_first_poll() -> None:
    """The last poll is an hour old, from the previous collector."""
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
def test_a_trouble_of_this_host_is_not_blamed_on_the_server(
    notes: dict[str, str], failing_ago_ms: int | None, expected: list[str]
) -> None:
    """A server that also fails is reported; a local trouble that delays nothing is not one yet."""
    changes = behind(31)
    changes["workers"] = {"uploader": worker(troubles=notes)}
    if failing_ago_ms is not None:
        changes["posts"]["failing_since_ms"] = NOON_MS - failing_ago_ms
    assert codes(**changes) == expected
    recent = {**changes, **behind(29)}
    assert codes(**recent) == [code for code in expected if code == "spool_takes_nothing"]


def test_a_spool_that_takes_nothing_is_a_trouble() -> None:
    """Other notes of workers are information, not troubles."""
    assert codes(workers={"uploader": worker(troubles={"spool": "disk full"})}) == [
        "spool_takes_nothing"
    ]
    assert codes(workers=collector(troubles={"cpu_freq": "PermissionError"})) == []


def test_an_uploader_that_stores_nothing_is_a_trouble_and_the_server_is_not() -> None:
    """Polls have waited in memory for three intervals, and nothing was posted."""

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


def test_a_new_uploader_has_time_to_store_waiting_polls() -> None:
    """A missing uploader is reported as such."""
    polls = {"in_channel": 9, "oldest_in_channel_ms": NOON_MS - 10 * MINUTE_MS}
    assert codes(polls=polls, workers={"uploader": worker(started_ms=NOON_MS - 5_000)}) == []
    assert codes(polls=polls, workers={"uploader": worker(pid=0)}) == ["worker_gone"]


def test_a_full_disk_is_not_blamed_on_the_server() -> None:
    """Nothing was posted to it."""
    full = {"uploader": worker(troubles={"spool": "disk full"})}
    changes = behind(90)
    changes["polls"]["oldest_in_channel_ms"] = NOON_MS - 89_000
    assert codes(workers=full, **changes) == ["spool_takes_nothing"]
    changes["posts"]["failing_since_ms"] = NOON_MS - 90_000
    assert codes(workers=full, **changes) == ["spool_takes_nothing", "server_takes_nothing"]


@pytest.mark.parametrize(("ahead_s", "expected"), [(9, []), (11, ["times_ahead"])])
def test_times_in_the_future_are_a_trouble(ahead_s: int, expected: list[str]) -> None:
    """A clock that was set back a little soon catches up."""
    assert codes(polls={"last_ms": NOON_MS + ahead_s * 1000}) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"recent": {"dropped": 1}}, "dropping"), ({"recent": {"quarantined": 1}}, "quarantine"),
     ({"polls": {"unaccounted": -1}}, "unaccounted")],
)  # fmt: skip
def test_lost_polls_are_a_trouble(changes: dict[str, Any], code: str) -> None:
    """Recently dropped or quarantined; or unaccounted for, at any time."""
    assert codes(**changes) == [code]


def test_polls_lost_at_the_start_are_a_trouble() -> None:
    """The spool was damaged before the recent counts began; the trouble ends after a while."""
    dropped = {"dropped": {"the spool was damaged": 9}, "last_dropped_ms": NOON_MS - 4 * MINUTE_MS}
    assert codes(polls=dropped) == ["dropping"]
    assert codes(polls={**dropped, "last_dropped_ms": NOON_MS - 6 * MINUTE_MS}) == []
    assert codes(polls={**dropped, "last_dropped_ms": NOON_MS + MINUTE_MS}) == []


def test_the_most_serious_comes_first() -> None:
    """A missing worker comes before a missing server."""
    changes = behind(60)
    assert codes(recent={"dropped": 1}, workers={"uploader": worker(pid=0)}, **changes) == [
        "worker_gone", "server_takes_nothing", "dropping",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layouts", "polled", "expected"),
    [(19, 30, []), (20, 30, ["devices_change"]), (40, 300, []), (150, 300, ["devices_change"])],
)
def test_devices_that_change_all_the_time_are_a_trouble(
    layouts: int, polled: int, expected: list[str]
) -> None:
    """At least twenty times, and in every other poll."""
    assert codes(recent={"layouts": layouts, "polled": polled}) == expected


def test_a_server_that_was_never_reached_is_a_trouble_after_a_minute() -> None:
    """Also at an interval of five minutes; a server that took a post has the time of three posts."""
    started = {"control": {"started_ms": NOON_MS - 3 * MINUTE_MS}, "interval_ms": 300_000}
    posts = {"spacing_ms": 300_000, "count": 0, "last_ms": 0, "failing_since_ms": NOON_MS - 61_000}
    polls = {"oldest_waiting_ms": NOON_MS - 2 * MINUTE_MS, "last_ms": NOON_MS - 2 * MINUTE_MS}
    (found,) = status(**started, posts=posts, polls=polls)["troubles"]
    assert (found["code"], found["since_ms"]) == ("server_takes_nothing", NOON_MS - 61_000)
    soon = {**posts, "failing_since_ms": NOON_MS - 59_000}
    assert status(**started, posts=soon, polls=polls)["troubles"] == []
    reached = {**posts, "count": 1, "last_ms": NOON_MS - 2 * MINUTE_MS}
    assert status(**started, posts=reached, polls=polls)["troubles"] == []


@pytest.mark.parametrize(("minutes", "expected"), [(14, []), (16, ["hub_stays_away"])])
def test_a_hub_may_ask_as_seldom_as_an_original(minutes: int, expected: list[str]) -> None:
    """Every five minutes; one that has not come for three times as long is a trouble."""
    changes = behind(minutes * 60)
    changes["posts"]["spacing_ms"] = HUB_SPACING_MS
    assert codes(kind=HUB, **changes) == expected

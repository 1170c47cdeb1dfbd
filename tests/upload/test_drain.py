"""The posting loop, with a real spool and a fake transport."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import msgpack
import pytest

from pattoo_mp import log
from pattoo_mp.model import Layout, Origin, Poll
from pattoo_mp.upload.answer import Outcome
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pacing import Pace
from pattoo_mp.upload.spooled import Outbox
from tests.spool.polls import LAYOUT, LAYOUTS, OTHER, fill, poll, times
from tests.support.small import files_of_at_most
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
from tests.upload.posting import Reports, only, sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.failover import Servers
    from pattoo_mp.upload.pattoo.transport import PattooTransport
    from pattoo_mp.upload.post import Attempt


ACCEPTED = Outcome()


class FakeTransport:
    """Accepts posts, or returns the given outcomes, each once."""

    url = "http://server/"

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.attempts: list[float] = []
        self.breaks: list[Exception] = []
        self.hangs = False
        self._closed = threading.Event()

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Return the next outcome; keep the post if it is accepted."""
        self.attempts.append(time.monotonic())
        if self.breaks:
            raise self.breaks.pop(0)
        if self.hangs:
            self._closed.wait(60)
            return Outcome("closed")
        outcome = self.outcomes.pop(0) if self.outcomes else ACCEPTED
        if outcome.delivered:
            self.posts.append((agent_id, json.loads(body)))
        return outcome

    def close(self) -> None:
        """End a post that hangs."""
        self._closed.set()

    def timestamps(self) -> list[list[int]]:
        """The times of the polls in each post."""
        return [_timestamps(content) for _, content in self.posts]


def _timestamps(content: dict[str, Any]) -> list[int]:
    points = content["pattoo_datapoints"]
    pairs = {int(number): pair for number, pair in points["key_value_pairs"].items()}
    rows = [dict(pairs[number] for number in row) for row in points["datapoint_pairs"]]
    return list(dict.fromkeys(row["pattoo_timestamp"] for row in rows))


def alone(transport: FakeTransport) -> Servers:
    """A set of servers with only this one. Only its `post`, `close` and `url` are used."""
    return only(cast("PattooTransport", transport))


class Noting(Pace):
    """Notes the start of each attempt, which is before its post is sent."""

    def __init__(self, offset_s: float) -> None:
        super().__init__(offset_s)
        self.started: list[float] = []

    def note_attempt(self, attempt: Attempt, started: float, ended: float) -> None:
        """Note the start, too."""
        self.started.append(started)
        super().note_attempt(attempt, started, ended)


class Rig(Reports):
    """A drain with everything it needs; its loop runs in a thread."""

    def waits_for(self, seconds: float) -> bool:
        """Whether it has something to post, and waits at least so long before it does."""
        return time.monotonic() + seconds < self.drain.idle_until < float("inf")

    def __init__(self, home: Path, offset_s: float = 0) -> None:
        super().__init__(open_spool(home / "spool.sqlite", AMPLE))
        self.outbox = Outbox(self.spool, OUTPUT)
        self.transport = FakeTransport()
        self.pace = Noting(offset_s)
        self.troubles: list[str] = []
        self.drain = Drain(
            self.outbox,
            sender(alone(self.transport), self.outbox),
            self.note,
            self.troubles.append,
            pace=self.pace,
        )
        self._thread = threading.Thread(target=self.drain.run, daemon=True)

    def start(self) -> None:
        """Start posting."""
        self._thread.start()

    def stop(self) -> float:
        """End it. Return how many seconds that took."""
        began = time.monotonic()
        self.drain.stop()
        if self._thread.ident is not None:
            self._thread.join(20)
            assert not self._thread.is_alive()
        return time.monotonic() - began

    def wait_until_empty(self) -> None:
        """Wait until the last poll has left and the account says so."""
        wait_for(lambda: self.accounts and self.accounts[-1].waiting == 0, what="an empty spool")

    def begin(self) -> None:
        """Start, and deliver two polls that go at once: one found in the spool, and the first later one."""
        for number in (1, 2):
            fill(self.spool, number, number)
            self.start() if number == 1 else self.drain.wake()
            wait_for(lambda n=number: self._has_delivered(n), what="a delivery")  # type: ignore[misc]
            wait_for(lambda: self.drain.idle_until == float("inf"), what="a rest")

    def _has_delivered(self, number: int) -> bool:
        return bool(self.accounts) and self.accounts[-1].delivered == number


@pytest.fixture
def rig(home: Path) -> Iterator[Rig]:
    """A drain that is not started yet."""
    made = Rig(home)
    yield made
    made.stop()
    made.spool.close()


def test_polls_are_posted_oldest_first_in_one_post(rig: Rig) -> None:
    """A backlog goes in order, many polls at once, under the agent's id."""
    fill(rig.spool, 1, 50)
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [list(range(1, 51))]
    assert rig.transport.posts[0][0] == LAYOUT.origin.agent_id
    assert rig.spool.account(OUTPUT).waiting == 0


def test_a_new_poll_is_posted_without_delay(rig: Rig) -> None:
    """`wake` ends the wait for polls."""
    rig.start()
    fill(rig.spool, 1, 1)
    rig.drain.wake()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[1]]


def test_posts_of_a_backlog_go_in_order(rig: Rig) -> None:
    """Polls that do not fit one post, here because of their host, go in the next one."""
    other = Layout(replace(LAYOUT.origin, hostname="another"), 1000, LAYOUT.series)
    rig.spool.append(
        [(1, poll(1)), (2, poll(2)), (3, poll(3, other))],
        {**LAYOUTS, other.identifier: other.packed},
        "c",
    )
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[1, 2], [3]]


def test_posts_are_at_least_a_second_apart(rig: Rig) -> None:
    """However often the host is polled."""
    rig.start()
    for number in (1, 2):
        fill(rig.spool, number, number)
        rig.drain.wake()
        wait_for(lambda n=number: len(rig.transport.attempts) == n)  # type: ignore[misc]
    wait_for(lambda: len(rig.pace.started) == 2, what="the end of the second")
    first, second = rig.pace.started
    assert second - first >= 1


def test_envelope_times_grow_from_post_to_post(rig: Rig) -> None:
    """The server names and orders its files by them."""
    rig.spool.next_envelope_ms(OUTPUT, 10**15)
    fill(rig.spool, 1, 1)
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.posts[0][1]["pattoo_agent_timestamp"] == 10**15 + 1


def test_a_failed_post_keeps_its_polls(rig: Rig) -> None:
    """They stay first in the spool, and all go when the server is healthy again."""
    rig.transport.outcomes = [Outcome("Connection refused")]
    fill(rig.spool, 1, 3)
    rig.start()
    rig.wait_until_empty()
    failure = next(n for n, state in enumerate(rig.states) if state.last_error)
    assert rig.accounts[failure].waiting == 3
    assert rig.states[failure].failing_since_ms == rig.states[failure].last_error_ms > 0
    assert rig.transport.timestamps() == [[1, 2, 3]]


def test_the_state_after_a_failure_and_a_success(rig: Rig) -> None:
    """Counts, times and the last error are right."""
    rig.transport.outcomes = [Outcome("status 500")]
    fill(rig.spool, 1, 3)
    rig.start()
    rig.wait_until_empty()
    state = rig.states[-1]
    assert (rig.accounts[-1].delivered, state.posts, state.last_error) == (3, 1, "status 500")
    assert state.failing_since_ms == 0
    assert state.last_post_ms >= state.last_error_ms > 0


def test_failing_since_is_the_time_of_the_first_failure(rig: Rig) -> None:
    """Even if another error follows."""
    rig.transport.outcomes = [Outcome("one"), Outcome("another")]
    fill(rig.spool, 1, 1)
    rig.start()
    rig.wait_until_empty()
    failing = [s for s in rig.states if s.failing_since_ms]
    assert [s.last_error for s in failing] == ["one", "another"]
    assert len({s.failing_since_ms for s in failing}) == 1


def test_a_failure_is_reported_with_the_time_of_the_next_attempt(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log and in the state. Log lines with different delays still count as alike."""
    rig.transport.outcomes = [Outcome("busy", Fault.BUSY, 600)]
    fill(rig.spool, 1, 3)
    rig.start()
    wait_for(lambda: rig.states and rig.states[-1].failing_since_ms, what="the failure")
    state = rig.states[-1]
    assert 595_000 < state.next_post_ms - state.last_error_ms <= 601_500
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.getMessage() == "http://server/: busy. Waiting: 3 polls; next attempt in 10 min."
    alike = log.grouped_as(f"busy since {state.failing_since_ms}")
    assert alike.items() <= record.__dict__.items()


def test_no_attempt_is_announced_while_posts_succeed(rig: Rig) -> None:
    """Neither before a failure nor after the next success."""
    rig.transport.outcomes = [Outcome("Connection refused")]
    fill(rig.spool, 1, 1)
    rig.start()
    rig.wait_until_empty()
    failing = [s.next_post_ms >= s.last_error_ms for s in rig.states if s.failing_since_ms]
    assert failing
    assert all(failing)
    assert {s.next_post_ms for s in rig.states if not s.failing_since_ms} == {0}


@pytest.mark.parametrize(
    "packed",
    [b"", b"\xc1", b"\xff" * 9, msgpack.packb([1, 2, 3]), msgpack.packb({}), msgpack.packb(1),
     msgpack.packb([1])[:-1], msgpack.packb([1]) + b"x", b"\xdd\xff\xff\xff\xff"],
)  # fmt: skip
def test_an_unreadable_poll_does_not_block_the_others(rig: Rig, packed: bytes) -> None:
    """It goes into quarantine, and all polls before and after it are posted."""
    damaged = (2, Poll(LAYOUT.identifier, 2, packed))
    rig.spool.append([(1, poll(1)), damaged, (3, poll(3))], LAYOUTS, "c")
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[1, 3]]
    assert (rig.accounts[-1].quarantined, rig.accounts[-1].delivered) == (1, 2)


@pytest.mark.parametrize(
    "packed",
    [b"", b"\xc1", b"\x00", msgpack.packb([1, 2, 3]), msgpack.packb([["a"], 1000, []]),
     msgpack.packb([["a", "b", "c"], 1000, [["k"]]]),
     msgpack.packb([["a", "b", "c"], 1000, [["k", float("inf"), []]]]),
     msgpack.packb([["a", "b", "c"], float("inf"), []]), LAYOUT.packed[:-1]],
)  # fmt: skip
def test_an_unreadable_layout_does_not_block_the_others(rig: Rig, packed: bytes) -> None:
    """Its polls go into quarantine, and those of another layout are posted."""
    layouts = {**LAYOUTS, "damaged": packed}
    polls = [
        (1, Poll("damaged", 1, b"\x90")),
        (2, poll(2, OTHER)),
        (3, Poll("damaged", 3, b"\x90")),
    ]
    rig.spool.append(polls, layouts, "c")
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[2]]
    assert rig.accounts[-1].quarantined == 2


def test_a_damaged_layout_is_restored_by_the_next_poll(home: Path) -> None:
    """No poll goes into quarantine before that: all polls of a killed uploader are posted."""
    spool = open_spool(home / "spool.sqlite", AMPLE)
    fill(spool, 1, 3)
    spool.close()
    with contextlib.closing(sqlite3.connect(home / "spool.sqlite")) as file, file:
        file.execute("UPDATE layouts SET packed = x'00'")
    rig = Rig(home)
    rig.start()
    wait_for(lambda: rig.troubles, what="the missing layout")
    fill(rig.spool, 4, 4)
    rig.wait_until_empty()
    assert [t for post in rig.transport.timestamps() for t in post] == [1, 2, 3, 4]
    assert rig.accounts[-1].quarantined == 0
    rig.stop()
    rig.spool.close()


def test_another_agents_polls_go_under_their_own_id(rig: Rig) -> None:
    """After someone changed the identity, older polls still belong to the old agent."""
    other = Layout(Origin("b" * 64, "host"), 1000, LAYOUT.series)
    layouts = {**LAYOUTS, other.identifier: other.packed}
    rig.spool.append([(1, poll(1)), (2, poll(2, other))], layouts, "c")
    rig.start()
    rig.wait_until_empty()
    assert [agent_id for agent_id, _ in rig.transport.posts] == ["f" * 64, "b" * 64]


def test_stop_ends_an_idle_drain_promptly(rig: Rig) -> None:
    """With nothing to post."""
    rig.start()
    assert rig.stop() < 5


def test_stop_ends_a_back_off_promptly(rig: Rig) -> None:
    """During the wait for the next attempt. Unsent polls stay."""
    rig.transport.outcomes = [Outcome("no")] * 1000
    fill(rig.spool, 1, 2)
    rig.start()
    wait_for(lambda: len(rig.transport.attempts) >= 2, what="two attempts")
    assert rig.stop() < 5
    assert times(rig.spool) == [1, 2]


def test_stop_ends_a_hanging_post_promptly(rig: Rig) -> None:
    """During an exchange. This is not an error, and unsent polls stay."""
    rig.transport.hangs = True
    fill(rig.spool, 1, 2)
    rig.start()
    wait_for(lambda: rig.transport.attempts, what="an attempt")
    assert rig.stop() < 5
    assert times(rig.spool) == [1, 2]
    assert all(not state.last_error for state in rig.states)


def test_a_full_disk_keeps_no_poll_from_a_healthy_server(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not reported as the server's fault. With room again, sent polls are not sent twice."""
    caplog.set_level(logging.INFO)
    fill(rig.spool, 1, 2)
    with files_of_at_most(0):
        rig.start()
        wait_for(lambda: rig.transport.timestamps() == [[1, 2]], what="the post")
        wait_for(lambda: rig.troubles, what="the complaint")
        assert times(rig.spool) == [1, 2]
    rig.wait_until_empty()
    wait_for(lambda: rig.troubles[-1] == "", what="its end")
    assert rig.transport.timestamps() == [[1, 2]]
    assert rig.troubles == ["the spool: disk I/O error", ""]
    assert {(state.last_error, state.failing_since_ms) for state in rig.states} == {("", 0)}
    assert (rig.accounts[-1].delivered, rig.states[-1].posts) == (2, 1)
    assert "Posting has trouble on this host, not with the server: the spool: disk" in caplog.text
    assert "Posting has no more trouble on this host." in caplog.text
    assert rig.transport.url not in caplog.text


def test_a_failing_server_and_a_full_disk_are_reported_separately(rig: Rig) -> None:
    """Each is its own trouble, and each ends separately."""
    rig.transport.outcomes = [Outcome("Connection refused")]
    fill(rig.spool, 1, 2)
    with files_of_at_most(0):
        rig.start()
        wait_for(lambda: rig.transport.timestamps() == [[1, 2]], what="the post")
        wait_for(lambda: rig.states[-1].posts, what="its count")
        assert [s.last_error for s in rig.states if s.failing_since_ms] == ["Connection refused"]
        assert rig.states[-1].failing_since_ms == 0
        assert rig.troubles == ["the spool: disk I/O error"]
    rig.wait_until_empty()


def test_a_lack_on_this_host_is_not_reported_as_the_servers_fault(rig: Rig) -> None:
    """Here, of a thread. The post is retried, and no other server is tried."""
    rig.transport.outcomes = [Outcome("no thread", Fault.OURS)]
    fill(rig.spool, 1, 2)
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[1, 2]]
    assert rig.troubles == ["no thread", ""]
    assert {state.last_error for state in rig.states} == {""}


def test_a_missing_route_is_this_hosts_trouble_and_another_server_may_help(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it counts for a fail-over, unlike a lack that another server does not mend."""
    noted: list[bool] = []
    monkeypatch.setattr(
        "pattoo_mp.upload.failover.Servers.note_attempt",
        lambda _, *, accepted: noted.append(accepted),
    )
    rig.transport.outcomes = [Outcome("no route", Fault.NO_ROUTE), Outcome("full", Fault.OURS)]
    fill(rig.spool, 1, 2)
    rig.start()
    rig.wait_until_empty()
    assert rig.troubles == ["no route", "full", ""]
    assert {state.last_error for state in rig.states} == {""}
    assert noted == [False, True]


def test_an_unexpected_error_does_not_end_the_posting(rig: Rig) -> None:
    """If the thread died, the uploader would keep everything and post nothing, unnoticed."""
    fill(rig.spool, 1, 2)
    rig.transport.breaks = [AttributeError("gone"), KeyError("lost")]
    rig.start()
    rig.wait_until_empty()
    assert rig.transport.timestamps() == [[1, 2]]
    assert rig.troubles == ["AttributeError: gone", "KeyError: 'lost'", ""]
    assert {state.failing_since_ms for state in rig.states} == {0}


def test_idle_time_can_be_told_from_a_step_that_hangs(home: Path) -> None:
    """The loop is idle forever without polls, until a post is due, and not at all in a post."""
    rig = Rig(home, offset_s=300)
    try:
        rig.begin()
        fill(rig.spool, 3, 3)
        rig.drain.wake()
        # Now a poll waits for this agent's offset.
        wait_for(lambda: rig.waits_for(200), what="the rest")
        assert rig.drain.idle_until < time.monotonic() + 301
    finally:
        rig.stop()
        rig.spool.close()


def test_a_hanging_post_is_not_idle_time(rig: Rig) -> None:
    """Its duration can be seen from outside."""
    rig.transport.hangs = True
    fill(rig.spool, 1, 1)
    rig.start()
    wait_for(lambda: rig.transport.attempts, what="a post that hangs")
    assert rig.drain.idle_until <= time.monotonic()


def test_a_smaller_jitter_shortens_a_wait_under_way(home: Path) -> None:
    """A waiting poll goes after a second, not after five minutes."""
    rig = Rig(home, offset_s=300)
    rig.begin()
    fill(rig.spool, 3, 3)
    rig.drain.wake()
    wait_for(lambda: rig.waits_for(200), what="a long wait")
    rig.drain.change(0, 1, None)
    wait_for(lambda: rig.transport.timestamps() == [[1], [2], [3]], what="the third poll")
    rig.stop()
    rig.spool.close()


def test_a_new_spacing_applies_from_the_next_post_on(rig: Rig) -> None:
    """As after a reload that changes the interval."""
    fill(rig.spool, 1, 1)
    rig.start()
    rig.wait_until_empty()  # a change during a post would already apply to the next one
    assert rig.transport.timestamps() == [[1]]
    rig.drain.change(0, 600, None)
    fill(rig.spool, 2, 2)
    rig.drain.wake()
    wait_for(lambda: rig.transport.timestamps() == [[1], [2]], what="the second post")
    fill(rig.spool, 3, 3)
    rig.drain.wake()
    wait_for(lambda: rig.waits_for(500), what="a long wait")


def test_a_new_jitter_does_not_shorten_a_retry_after(rig: Rig) -> None:
    """The server's delay counts, whatever the agent's offset is."""
    rig.transport.outcomes = [Outcome("busy", Fault.BUSY, 600)]
    fill(rig.spool, 1, 1)
    rig.start()
    wait_for(lambda: rig.waits_for(500), what="a long wait")
    before = rig.drain.idle_until
    rig.drain.change(0, 1, None)
    wait_for(lambda: rig.drain.idle_until != before, what="another look at the time")
    assert rig.waits_for(500)
    assert len(rig.transport.attempts) == 1


def test_new_servers_get_posts_after_the_post_under_way(rig: Rig) -> None:
    """That post is not cut off, and the old server's failures say nothing about the new one."""
    new = FakeTransport()
    rig.transport.hangs = True
    fill(rig.spool, 1, 1)
    rig.start()
    wait_for(lambda: rig.transport.attempts, what="a post to the old one")
    rig.drain.change(0, 1, sender(alone(new), rig.outbox))
    assert new.attempts == []
    rig.transport.close()
    wait_for(lambda: new.timestamps() == [[1]], what="a post to the new one")
    rig.wait_until_empty()
    assert len(rig.transport.attempts) == 1
    assert (rig.states[-1].last_error, rig.states[-1].failing_since_ms) == ("", 0)


def test_new_servers_are_reported_before_the_first_post(rig: Rig) -> None:
    """Even if no polls wait."""
    new = FakeTransport()
    new.url = "http://other/"
    rig.start()
    rig.drain.change(0, 1, sender(alone(new), rig.outbox))
    wait_for(lambda: rig.states and rig.states[-1].server == "http://other/", what="its address")


def test_stop_cuts_off_a_post_to_a_new_server(rig: Rig) -> None:
    """To the servers that are current when the stop comes."""
    new = FakeTransport()
    new.hangs = True
    rig.start()
    rig.drain.change(0, 1, sender(alone(new), rig.outbox))
    fill(rig.spool, 1, 1)
    rig.drain.wake()
    wait_for(lambda: new.attempts, what="a post")
    rig.stop()
    assert rig.spool.account(OUTPUT).waiting == 1

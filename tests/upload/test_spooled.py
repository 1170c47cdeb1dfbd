"""Posts of what is in a spool: how much is read for one, and how soon the next may follow."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.spool.store import Spool
from pattoo_mp.upload import spooled as module
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode
from tests.spool.polls import LAYOUTS, poll, times
from tests.spool.polls import fill as fill_with
from tests.support.small import files_of_at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.spool.store import Spooled


SMALL = 100
LARGE = 3000


class Counting(Outbox):
    """Notes how many polls were read for each post."""

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self.read: list[int] = []

    def oldest(self, limit: int) -> list[Spooled]:
        """Read, and count."""
        found = super().oldest(limit)
        self.read.append(len(found))
        return found


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    """An empty one."""
    made = Spool(home / "spool.sqlite")
    yield made
    made.close()


def fill(spool: Spool, polls: int, series: int, interval_ms: int) -> None:
    """Have polls of one layout wait, an interval apart."""
    layout = Layout(
        Origin("f" * 64, "host"),
        interval_ms,
        tuple(Series(f"s{number}", INTEGER) for number in range(series)),
    )
    kept = [
        (number, Poll.of(layout, number * interval_ms, [7] * series))
        for number in range(1, polls + 1)
    ]
    spool.append(kept, {layout.identifier: layout.packed}, "channel")


def deliver(spool: Spool) -> tuple[list[int], list[int], list[float]]:
    """Post by post, how many polls were read, how many it holds, and in how long they were polled."""
    outbox = Counting(spool)
    posts = SpooledPosts(outbox, lambda: 1, encode)
    held, times = [], []
    while posts.waiting:
        post = posts.oldest()
        assert post is not None
        held.append(post.polls)
        times.append(post.span_s)
        post.accepted()
        posts.batch_limit.accepted()
    return outbox.read, held, times


def test_a_backlog_goes_in_posts_as_large_as_may_be(spool: Spool) -> None:
    """Of a host as most are."""
    fill(spool, 250, SMALL, 1000)
    _, held, times = deliver(spool)
    assert held == [100, 100, 50]
    assert times == [100, 100, 50]


def test_small_polls_fill_a_post_before_long(spool: Spool) -> None:
    """Of ten times as many it has room for: what is read doubles with each post."""
    fill(spool, 3000, 10, 1000)
    _, held, _ = deliver(spool)
    assert held == [100, 200, 400, 800, 1000, 500]


def test_of_large_polls_few_are_read(spool: Spool) -> None:
    """They are in memory until the post is made, and a post has no room for most of them."""
    fill(spool, 200, LARGE, 100)
    read, held, times = deliver(spool)
    assert set(held[:-1]) == {3}
    assert read[0] == 100
    assert max(read[1:]) == 20
    assert times[0] == pytest.approx(0.3)


def test_one_poll_was_polled_in_its_interval(spool: Spool) -> None:
    """As is one that is larger than a post may be."""
    fill(spool, 2, 12_000, 1000)
    _, held, times = deliver(spool)
    assert (held, times) == ([1, 1], [1, 1])


# What is posted of a spool whose disk takes nothing, and noted once it does.


@pytest.fixture
def filled(home: Path) -> Iterator[Spool]:
    """One with ten polls."""
    made = Spool(home / "spool.sqlite")
    fill_with(made, 1, 10)
    yield made
    made.close()


def send(outbox: Outbox, limit: int) -> list[int]:
    """Have a server take so many polls; which they are."""
    polls = outbox.oldest(limit)
    assert outbox.sent(polls[-1].id, len(polls)) == len(polls)
    return [spooled.poll.timestamp_ms for spooled in polls]


def test_what_was_sent_leaves_the_spool(filled: Spool) -> None:
    """At once, where the disk takes it, and there is no trouble."""
    outbox = Outbox(filled)
    assert send(outbox, 4) == [1, 2, 3, 4]
    assert times(filled) == [5, 6, 7, 8, 9, 10]
    assert outbox.trouble == ""


def test_a_backlog_is_sent_once_though_nothing_can_be_noted(filled: Spool) -> None:
    """Post after post, in order. When all is sent, what is left to do is to note it."""
    outbox = Outbox(filled)
    with files_of_at_most(0):
        assert [send(outbox, 4) for _ in range(3)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        with pytest.raises(sqlite3.Error, match="disk I/O error"):
            outbox.oldest(4)
        assert times(filled) == list(range(1, 11))
    assert outbox.trouble == "the spool: disk I/O error"
    assert outbox.oldest(4) == []
    assert (filled.waiting, filled.state.delivered) == (0, 10)


def test_what_comes_later_is_sent_too(filled: Spool) -> None:
    """With the next poll the spool forgets what was sent before."""
    outbox = Outbox(filled)
    with files_of_at_most(0):
        send(outbox, 10)
    fill_with(filled, 11, 12)
    assert send(outbox, 10) == [11, 12]
    assert (filled.waiting, filled.state.delivered) == (0, 12)


def test_no_more_is_remembered_than_there_is_room_for(
    filled: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is read for each post."""
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 8)
    outbox = Outbox(filled)
    with files_of_at_most(0):
        send(outbox, 4)
        send(outbox, 4)
        with pytest.raises(sqlite3.Error):
            outbox.oldest(1)
    assert send(outbox, 4) == [9, 10]


def test_times_of_posts_grow_though_none_can_be_noted(filled: Spool) -> None:
    """The clock may stand, or go back; and no time is given twice once they can be noted again."""
    outbox = Outbox(filled)
    given = [outbox.next_envelope_ms(5000)]
    with files_of_at_most(0):
        given += [outbox.next_envelope_ms(now) for now in (5000, 4000, 7000)]
        assert outbox.trouble == "the spool: disk I/O error"
    given.append(outbox.next_envelope_ms(6000))
    assert given == [5000, 5001, 5002, 7000, 7001]
    assert filled.state.envelope_ms == 7001


def test_a_time_that_a_commit_kept_is_not_one_that_was_given_before(filled: Spool) -> None:
    """The disk took nothing for a while, and the clock had gone back."""
    outbox = Outbox(filled)
    outbox.next_envelope_ms(5000)
    with files_of_at_most(0):
        assert outbox.next_envelope_ms(1000) == 5001
    filled.append([(11, poll(11))], LAYOUTS, "c", now_ms=1000)
    assert filled.state.envelope_ms == 5001
    assert outbox.next_envelope_ms(1000) == 5002

"""What is posted of a spool whose disk takes nothing, and noted once it does."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.spool.store import Spool
from pattoo_mp.upload import spooled as module
from pattoo_mp.upload.spooled import Outbox
from tests.spool.polls import LAYOUTS, fill, poll, times
from tests.support.small import files_of_at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    """One with ten polls."""
    made = Spool(home / "spool.sqlite")
    fill(made, 1, 10)
    yield made
    made.close()


def send(outbox: Outbox, limit: int) -> list[int]:
    """Have a server take so many polls; which they are."""
    polls = outbox.oldest(limit)
    assert outbox.sent(polls[-1].id, len(polls)) == len(polls)
    return [spooled.poll.timestamp_ms for spooled in polls]


def test_what_was_sent_leaves_the_spool(spool: Spool) -> None:
    """At once, where the disk takes it, and there is no trouble."""
    outbox = Outbox(spool)
    assert send(outbox, 4) == [1, 2, 3, 4]
    assert times(spool) == [5, 6, 7, 8, 9, 10]
    assert outbox.trouble == ""


def test_a_backlog_is_sent_once_though_nothing_can_be_noted(spool: Spool) -> None:
    """Post after post, in order. When all is sent, what is left to do is to note it."""
    outbox = Outbox(spool)
    with files_of_at_most(0):
        assert [send(outbox, 4) for _ in range(3)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        with pytest.raises(sqlite3.Error, match="disk I/O error"):
            outbox.oldest(4)
        assert times(spool) == list(range(1, 11))
    assert outbox.trouble == "the spool: disk I/O error"
    assert outbox.oldest(4) == []
    assert (spool.waiting, spool.state.delivered) == (0, 10)


def test_what_comes_later_is_sent_too(spool: Spool) -> None:
    """With the next poll the spool forgets what was sent before."""
    outbox = Outbox(spool)
    with files_of_at_most(0):
        send(outbox, 10)
    fill(spool, 11, 12)
    assert send(outbox, 10) == [11, 12]
    assert (spool.waiting, spool.state.delivered) == (0, 12)


def test_no_more_is_remembered_than_there_is_room_for(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is read for each post."""
    monkeypatch.setattr(module, "_MOST", 8)
    outbox = Outbox(spool)
    with files_of_at_most(0):
        send(outbox, 4)
        send(outbox, 4)
        with pytest.raises(sqlite3.Error):
            outbox.oldest(1)
    assert send(outbox, 4) == [9, 10]


def test_times_of_posts_grow_though_none_can_be_noted(spool: Spool) -> None:
    """The clock may stand, or go back; and no time is given twice once they can be noted again."""
    outbox = Outbox(spool)
    given = [outbox.next_envelope_ms(5000)]
    with files_of_at_most(0):
        given += [outbox.next_envelope_ms(now) for now in (5000, 4000, 7000)]
        assert outbox.trouble == "the spool: disk I/O error"
    given.append(outbox.next_envelope_ms(6000))
    assert given == [5000, 5001, 5002, 7000, 7001]
    assert spool.state.envelope_ms == 7001


def test_a_time_that_a_commit_kept_is_not_one_that_was_given_before(spool: Spool) -> None:
    """The disk took nothing for a while, and the clock had gone back."""
    outbox = Outbox(spool)
    outbox.next_envelope_ms(5000)
    with files_of_at_most(0):
        assert outbox.next_envelope_ms(1000) == 5001
    spool.append([(11, poll(11))], LAYOUTS, "c", now_ms=1000)
    assert spool.state.envelope_ms == 5001
    assert outbox.next_envelope_ms(1000) == 5002

"""Posts made from a spool: how many polls are read for one, and what a full disk changes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.upload import spooled as module
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode
from tests.spool.polls import LAYOUTS, poll, times
from tests.spool.polls import fill as fill_with
from tests.support.small import files_of_at_most
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.spool.store import Spool, Spooled


SMALL = 100
LARGE = 3000


class Counting(Outbox):
    """Counts the polls read for each post."""

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool, OUTPUT)
        self.read: list[int] = []

    def oldest(self, limit: int) -> list[Spooled]:
        """Read and count."""
        found = super().oldest(limit)
        self.read.append(len(found))
        return found


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    """An empty spool."""
    made = open_spool(home / "spool.sqlite", AMPLE)
    yield made
    made.close()


def fill(spool: Spool, polls: int, series: int, interval_ms: int) -> None:
    """Put polls of one layout into the spool, an interval apart."""
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
    """For each post, return how many polls were read, how many it holds, and their time span."""
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


def test_a_backlog_goes_in_posts_as_large_as_possible(spool: Spool) -> None:
    """For a usual host."""
    fill(spool, 250, SMALL, 1000)
    _, held, times = deliver(spool)
    assert held == [100, 100, 50]
    assert times == [100, 100, 50]


def test_small_polls_soon_fill_a_post(spool: Spool) -> None:
    """If polls are ten times smaller, twice as many are read for each next post."""
    fill(spool, 3000, 10, 1000)
    _, held, _ = deliver(spool)
    assert held == [100, 200, 400, 800, 1000, 500]


def test_few_large_polls_are_read(spool: Spool) -> None:
    """They stay in memory until the post is made, and most of them would not fit."""
    fill(spool, 200, LARGE, 100)
    read, held, times = deliver(spool)
    assert set(held[:-1]) == {3}
    assert read[0] == 100
    assert max(read[1:]) == 20
    assert times[0] == pytest.approx(0.3)


def test_a_single_poll_spans_its_interval(spool: Spool) -> None:
    """Also one that is larger than a post may be."""
    fill(spool, 2, 12_000, 1000)
    _, held, times = deliver(spool)
    assert (held, times) == ([1, 1], [1, 1])


# Posting while the disk accepts no writes.


@pytest.fixture
def filled(home: Path) -> Iterator[Spool]:
    """A spool with ten polls."""
    made = open_spool(home / "spool.sqlite", AMPLE)
    fill_with(made, 1, 10)
    yield made
    made.close()


def send(outbox: Outbox, limit: int) -> list[int]:
    """Let a server accept so many polls. Return their times."""
    polls = outbox.oldest(limit)
    assert outbox.sent(polls[-1].id, len(polls)) == len(polls)
    return [spooled.poll.timestamp_ms for spooled in polls]


def test_sent_polls_leave_the_spool(filled: Spool) -> None:
    """At once, if the disk accepts writes, and without trouble."""
    outbox = Outbox(filled, OUTPUT)
    assert send(outbox, 4) == [1, 2, 3, 4]
    assert times(filled) == [5, 6, 7, 8, 9, 10]
    assert outbox.trouble == ""


def test_a_backlog_is_sent_once_while_the_disk_accepts_no_writes(filled: Spool) -> None:
    """Post after post, in order. At the end only the acknowledgement is left to write."""
    outbox = Outbox(filled, OUTPUT)
    with files_of_at_most(0):
        assert [send(outbox, 4) for _ in range(3)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        with pytest.raises(sqlite3.Error, match="disk I/O error"):
            outbox.oldest(4)
        assert times(filled) == list(range(1, 11))
    assert outbox.trouble == "the spool: disk I/O error"
    assert outbox.oldest(4) == []
    assert (filled.account(OUTPUT).waiting, filled.state.outputs[OUTPUT].delivered) == (0, 10)


def test_later_polls_are_sent_too(filled: Spool) -> None:
    """With the next poll, the spool drops the polls sent earlier."""
    outbox = Outbox(filled, OUTPUT)
    with files_of_at_most(0):
        send(outbox, 10)
    fill_with(filled, 11, 12)
    assert send(outbox, 10) == [11, 12]
    assert (filled.account(OUTPUT).waiting, filled.state.outputs[OUTPUT].delivered) == (0, 12)


def test_only_so_many_sent_polls_are_remembered(
    filled: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are read again for each post."""
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 8)
    outbox = Outbox(filled, OUTPUT)
    with files_of_at_most(0):
        send(outbox, 4)
        send(outbox, 4)
        with pytest.raises(sqlite3.Error):
            outbox.oldest(1)
    assert send(outbox, 4) == [9, 10]


def test_envelope_times_grow_while_none_can_be_written(filled: Spool) -> None:
    """Even if the clock stands or goes back; and no time is used twice once writes work again."""
    outbox = Outbox(filled, OUTPUT)
    given = [outbox.next_envelope_ms(5000)]
    with files_of_at_most(0):
        given += [outbox.next_envelope_ms(now) for now in (5000, 4000, 7000)]
        assert outbox.trouble == "the spool: disk I/O error"
    given.append(outbox.next_envelope_ms(6000))
    assert given == [5000, 5001, 5002, 7000, 7001]
    assert filled.state.outputs[OUTPUT].envelope_ms == 7001


def test_the_next_process_uses_no_envelope_time_again_that_could_not_be_written(home: Path) -> None:
    """The process was killed while the disk was full, and the clock was set back. Each output has its own."""
    path = home / "spool.sqlite"
    spool = open_spool(path, AMPLE, outputs=[OUTPUT, "other"])
    fill_with(spool, 1, 3)
    outbox = Outbox(spool, OUTPUT)
    assert outbox.next_envelope_ms(5000) == 5000
    size = path.with_name(f"{path.name}.account").stat().st_size
    with files_of_at_most(size), pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "next_envelope_ms", _refused)
        assert [outbox.next_envelope_ms(5000) for _ in range(2)] == [5001, 5002]
    spool.close()
    spool = open_spool(path, AMPLE, outputs=[OUTPUT, "other"])
    assert Outbox(spool, OUTPUT).next_envelope_ms(4000) == 5003
    assert Outbox(spool, "other").next_envelope_ms(4000) == 4000
    assert spool.state.closes
    spool.close()


def _refused(output: str, now_ms: int) -> int:
    raise sqlite3.OperationalError(f"no room for {now_ms} of {output}")


def test_an_older_time_from_a_commit_is_not_used_again(filled: Spool) -> None:
    """The disk accepted no writes for a while, and the clock was set back."""
    outbox = Outbox(filled, OUTPUT)
    outbox.next_envelope_ms(5000)
    with files_of_at_most(0):
        assert outbox.next_envelope_ms(1000) == 5001
    filled.append([(11, poll(11))], LAYOUTS, "c", now_ms=1000)
    assert filled.state.outputs[OUTPUT].envelope_ms == 5002
    assert outbox.next_envelope_ms(1000) == 5002

"""Posts of what is in a spool: how much is read for one, and how soon the next may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.spool.store import Spool
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode

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
        times.append(post.polled_in_s)
        post.taken()
        posts.window.taken()
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

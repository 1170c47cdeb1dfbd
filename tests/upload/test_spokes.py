"""Posts of a hub's spool: one spoke each, the oldest poll first, in the order of each spoke."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series, group_of
from pattoo_mp.upload import post as post_module
from pattoo_mp.upload.pattoo.selection import FamilySelection
from pattoo_mp.upload.spokes import SpokePosts
from pattoo_mp.upload.spooled import Outbox
from pattoo_mp.wire.encode import encode
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.post import Post

SPOKES = ("a" * 64, "b" * 64, "c" * 64)


def layout_of(agent_id: str, key: str = "load") -> Layout:
    """Return the layout of a spoke."""
    return Layout(Origin(agent_id, "host", "spoked"), 1000, (Series(key, INTEGER),), (), True)


def put(spool: Spool, *polls: tuple[int, int], key: str = "load") -> None:
    """Put polls into the spool: each is the number of a spoke, and a time."""
    layouts = [layout_of(agent_id, key) for agent_id in SPOKES]
    before = spool.state.sequence
    rows = []
    for number, (spoke, time_ms) in enumerate(polls, before + 1):
        made = Poll.of(layouts[spoke], time_ms, [time_ms])
        group = group_of(SPOKES[spoke], 1000)
        rows.append((number, Poll(made.layout_id, time_ms, made.packed, group)))
    spool.append(rows, {layout.identifier: layout.packed for layout in layouts}, "channel")


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    """An empty spool."""
    made = open_spool(home / "spool.sqlite", AMPLE)
    yield made
    made.close()


class Times:
    """Times of envelopes, as the spool gives them."""

    def __init__(self) -> None:
        self.last = 100

    def __call__(self) -> int:
        """Return a new time."""
        self.last += 1
        return self.last


def content(post: Post) -> tuple[str, list[int]]:
    """Return the spoke and the times of the polls of a post, as its body has them."""
    body = json.loads(post.body)
    pairs = body["pattoo_datapoints"]["key_value_pairs"]
    rows = body["pattoo_datapoints"]["datapoint_pairs"]
    assert body["pattoo_agent_id"] == post.agent_id
    points = [dict(pairs[str(number)] for number in row) for row in rows]
    assert {point["pattoo_agent_id"] for point in points} == {post.agent_id}
    return post.agent_id[0], [point["pattoo_timestamp"] for point in points]


def deliver(posts: SpokePosts) -> list[tuple[str, list[int]]]:
    """Accept all posts; return what they held."""
    found = []
    while posts.waiting:
        post = posts.oldest()
        assert post is not None
        found.append(content(post))
        post.accepted()
    return found


def source(spool: Spool) -> SpokePosts:
    """Return the posts of a spool."""
    return SpokePosts(Outbox(spool, OUTPUT), Times(), encode)


def test_each_spoke_has_a_post_in_the_order_of_its_oldest_poll(spool: Spool) -> None:
    """One agent a post, whose identity is in the body and the URL; its polls are in order."""
    put(spool, (1, 1), (0, 1), (1, 2), (2, 2), (0, 2))
    assert deliver(source(spool)) == [("b", [1, 2]), ("a", [1, 2]), ("c", [2])]
    assert spool.account(OUTPUT).delivered == 5
    assert spool.account(OUTPUT).waiting == 0


def test_the_spool_forgets_a_poll_only_when_all_before_it_were_accepted(spool: Spool) -> None:
    """What was accepted out of order comes again if the process ends before that."""
    put(spool, (0, 1), (1, 1), (0, 2), (1, 2))
    posts = source(spool)
    first = posts.oldest()
    assert first is not None
    first.accepted()
    assert spool.account(OUTPUT).waiting == 3  # the first poll is gone, the third is not
    assert posts.waiting == 2
    assert deliver(source(spool)) == [("b", [1, 2]), ("a", [2])]


def test_posts_of_a_turn_share_the_time_of_an_envelope_unless_they_are_of_one_spoke(
    spool: Spool,
) -> None:
    """The server names files by agent and time: only those of one agent must differ."""
    put(spool, (0, 1), (1, 1), (0, 2))
    posts = source(spool)
    posts.batch_limit.too_large(2)  # a poll a post
    times = []
    while posts.waiting:
        post = posts.oldest()
        assert post is not None
        times.append((post.agent_id[0], json.loads(post.body)["pattoo_agent_timestamp"]))
        post.accepted()
    assert times == [("a", 101), ("b", 101), ("a", 102)]


def test_a_refused_poll_goes_aside_and_the_others_on(spool: Spool) -> None:
    """It is the oldest one, whatever was accepted out of order."""
    put(spool, (0, 1), (1, 1), (0, 2), (1, 2))
    posts = source(spool)
    posts.oldest().accepted()  # type: ignore[union-attr]
    posts.batch_limit.too_large(2)
    refused = posts.oldest()
    assert refused is not None
    refused.set_aside("no")
    assert spool.account(OUTPUT).quarantined == 1
    assert deliver(posts) == [("b", [2])]
    assert (spool.account(OUTPUT).delivered, spool.account(OUTPUT).waiting) == (3, 0)


def test_single_polls_come_in_the_order_of_the_spool(spool: Spool) -> None:
    """A later one is tried where the head fails."""
    put(spool, (0, 1), (1, 1), (0, 2))
    posts = source(spool)
    singles = [posts.single(number) for number in range(4)]
    assert [None if post is None else content(post) for post in singles] == [
        ("a", [1]), ("b", [1]), ("a", [2]), None,
    ]  # fmt: skip


def test_a_spoke_with_many_polls_has_several_posts(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds no more than the limit; the other spokes do not wait for all of them."""
    monkeypatch.setattr("pattoo_mp.upload.spokes.MAX_DATAPOINTS", 2)
    put(spool, (0, 1), (0, 2), (1, 1), (0, 3))
    assert deliver(source(spool)) == [("a", [1, 2]), ("b", [1]), ("a", [3])]
    assert post_module.MAX_DATAPOINTS > 2


def test_a_backlog_is_read_far_enough_for_posts_of_several_polls(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each spoke of thousands would have one poll in each turn, and a post for it."""
    monkeypatch.setattr("pattoo_mp.upload.spokes._TURN", 3)
    put(spool, *((spoke, second) for second in range(1, 5) for spoke in range(3)))
    assert deliver(source(spool)) == [("a", [1, 2, 3, 4]), ("b", [1, 2, 3, 4]), ("c", [1, 2, 3, 4])]


def test_polls_without_a_wanted_family_are_done_without_a_post(spool: Spool) -> None:
    """As those of an agent's own."""
    put(spool, (0, 1), key="load_average_01min")
    put(spool, (1, 2), key="memory_total")
    posts = SpokePosts(
        Outbox(spool, OUTPUT), Times(), encode, selection=FamilySelection(["memory"])
    )
    assert deliver(posts) == [("b", [2])]
    assert spool.account(OUTPUT).waiting == 0


def test_a_poll_of_a_group_that_is_not_newer_is_dropped_and_counted(spool: Spool) -> None:
    """That of another spoke, or of another interval, may be older."""
    put(spool, (0, 5), (1, 3), (0, 5), (0, 4), (1, 4))
    assert deliver(source(spool)) == [("a", [5]), ("b", [3, 4])]
    assert dict(spool.account(OUTPUT).dropped) == {"older than a poll before it": 2}
    assert spool.state.closes


def test_the_newest_poll_of_each_group_survives_a_restart(spool: Spool, home: Path) -> None:
    """So what a spoke sends again is recognised."""
    put(spool, (0, 5), (1, 3), (0, 6))
    deliver(source(spool))
    spool.close()
    again = open_spool(home / "spool.sqlite", AMPLE)
    assert again.groups == {group_of(SPOKES[0], 1000): (6, 2), group_of(SPOKES[1], 1000): (3, 1)}
    again.close()

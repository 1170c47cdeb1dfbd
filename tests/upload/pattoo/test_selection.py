"""An output of kind pattoo that gets only some families."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.errors import WireError
from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.upload.pattoo.selection import FamilySelection
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode
from tests.support.spools import OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin("f" * 64, "host")


def layout_of(*keys: str) -> Layout:
    """A layout of these keys."""
    return Layout(ORIGIN, 1000, tuple(Series(key, INTEGER) for key in keys))


BOTH = layout_of("memory_free", "disk_io_read_count", "memory_used")
DISKS = layout_of("disk_io_read_count")


def values_sent(body: bytes) -> list[tuple[str, int]]:
    """Return key and value of each datapoint of a post."""
    sent = json.loads(body)["pattoo_datapoints"]
    rows = [dict(sent["key_value_pairs"][str(n)] for n in row) for row in sent["datapoint_pairs"]]
    return [(row["pattoo_key"], row["pattoo_value"]) for row in rows]


@pytest.mark.parametrize("divided", [False, True])
def test_only_the_wanted_series_and_their_values_are_left(divided: bool) -> None:
    """In their order, also of a divided layout, whose parts without any of them are gone."""
    whole = Layout.of_parts([BOTH, DISKS]) if divided else BOTH
    given = [1, 2, 3, 4] if divided else [1, 2, 3]
    selection = FamilySelection(["memory"])
    selected = selection.layout(whole)
    assert [series.key for series in selected.series] == ["memory_free", "memory_used"]
    assert len(selected.undivided) == 1
    poll = selection.poll(whole, Poll.of(whole, 5, given))
    assert (poll.timestamp_ms, poll.values()) == (5, [1, 3])
    assert poll.layout_id == selected.identifier


def test_a_poll_that_does_not_fit_its_layout_is_an_error() -> None:
    """So that it goes to quarantine, as without a selection."""
    damaged = Poll(BOTH.identifier, 5, Poll.of(DISKS, 5, [1]).packed)
    with pytest.raises(WireError):
        FamilySelection(["memory"]).poll(BOTH, damaged)


def test_polls_without_any_of_the_families_are_delivered_without_a_post(home: Path) -> None:
    """At the beginning, between others, and where there is nothing else."""
    spool = open_spool(home / "spool.sqlite")
    order = [DISKS, BOTH, DISKS, BOTH, DISKS]
    polls = [
        (number, Poll.of(one, number * 1000, [number] * len(one.series)))
        for number, one in enumerate(order, 1)
    ]
    layouts = {one.identifier: one.packed for one in (BOTH, DISKS)}
    spool.append(polls, layouts, "channel")
    outbox = Outbox(spool, OUTPUT)
    posts = SpooledPosts(outbox, lambda: 1, encode, selection=FamilySelection(["memory"]))
    post = posts.oldest()
    assert post is not None
    assert spool.account(OUTPUT).delivered == 1
    assert values_sent(post.body) == [
        ("memory_free", 2), ("memory_used", 2), ("memory_free", 4), ("memory_used", 4)
    ]  # fmt: skip
    assert post.accepted() == 4
    assert (spool.account(OUTPUT).delivered, posts.waiting) == (5, 0)
    spool.append([(6, Poll.of(DISKS, 6000, [1]))], layouts, "channel")
    assert posts.oldest() is None
    assert (spool.account(OUTPUT).delivered, posts.waiting) == (6, 0)
    spool.close()

"""Which polls go into the next post."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.spool.store import Spooled
from pattoo_mp.upload.post import first_post

AGENT = Origin("a" * 64, "host")


def layout_of(series: int, interval_ms: int = 1000, origin: Origin = AGENT) -> Layout:
    """A layout of so many series."""
    return Layout(origin, interval_ms, tuple(Series(f"k{n}", INTEGER) for n in range(series)))


def sizes(layouts: list[Layout], datapoints: int) -> list[int]:
    """The sizes of the posts that a backlog of a poll for each layout is sent in."""
    known = {layout.identifier: layout for layout in layouts}
    left = [Spooled(n, Poll(layout.identifier, n, b"")) for n, layout in enumerate(layouts, 1)]
    posts = []
    while left:
        post = first_post(left, known.__getitem__, datapoints)
        assert post == left[: len(post)]
        assert post
        del left[: len(post)]
        posts.append(len(post))
    return posts


def test_nothing_makes_no_post() -> None:
    """Without polls there is nothing to choose."""
    assert first_post([], lambda _: layout_of(1)) == []


def test_as_many_polls_as_one_post_may_hold() -> None:
    """A post is filled, the next begins with the poll that did not fit."""
    assert sizes([layout_of(10)] * 7, datapoints=30) == [3, 3, 1]


def test_a_poll_larger_than_a_post_goes_alone() -> None:
    """It is sent all the same, and without others."""
    small, large = layout_of(1), layout_of(50)
    assert sizes([small, small, large, small], datapoints=10) == [2, 1, 1]


def test_polls_of_several_layouts_share_a_post() -> None:
    """A disk that came or went does not begin a new post."""
    assert sizes([layout_of(2), layout_of(3), layout_of(2)], datapoints=100) == [3]


def test_polls_of_several_intervals_share_a_post() -> None:
    """Each datapoint says its own: groups that take turns need no post each."""
    assert sizes([layout_of(2), layout_of(2, 2000), layout_of(2)], datapoints=100) == [3]


def test_another_origin_begins_a_new_post() -> None:
    """A post is of one agent, one host and one program."""
    others = [Origin("b" * 64, "host"), Origin("a" * 64, "another")]
    layouts = [layout_of(2), *(layout_of(2, origin=origin) for origin in others)]
    assert sizes(layouts, datapoints=100) == [1, 1, 1]


def test_a_poll_of_nothing_is_sent_too() -> None:
    """A layout without series takes no room, and its polls block nobody."""
    assert sizes([layout_of(0), layout_of(5), layout_of(0)], datapoints=5) == [3]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from([1000, 2000])), max_size=30),
    st.integers(1, 40),
)
def test_any_backlog_goes_in_order_and_within_bounds(
    shapes: list[tuple[int, int]], datapoints: int
) -> None:
    """Every poll is sent once, in order; a post over the bound is of one poll."""
    layouts = [layout_of(*shape) for shape in shapes]
    begin = 0
    for size in sizes(layouts, datapoints):
        post = layouts[begin : begin + size]
        assert size == 1 or sum(len(layout.series) for layout in post) <= datapoints
        begin += size
    assert begin == len(layouts)

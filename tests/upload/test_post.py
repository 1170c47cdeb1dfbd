"""Batch limits, and which polls go into a post."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.model import INTEGER, Layout, Origin, Poll, Series
from pattoo_mp.spool.store import Spooled
from pattoo_mp.upload.post import REMEMBERED_POSTS, BatchLimit, first_post


def test_a_limit_starts_at_its_largest() -> None:
    """Before any refusal."""
    limit = BatchLimit(1000)
    assert limit.polls == 1000


def test_half_of_what_was_refused_is_tried_next() -> None:
    """Half of what was sent, which may be less than the limit; down to one."""
    limit = BatchLimit(1000)
    sizes = []
    size = 100
    while size > 1:
        assert not limit.refused(size, "head")
        size = limit.polls
        sizes.append(size)
    assert sizes == [50, 25, 12, 6, 3, 1]


def test_a_success_doubles_it_up_to_the_largest() -> None:
    """And never beyond."""
    limit = BatchLimit(10)
    limit.refused(2, "head")
    sizes = []
    for _ in range(5):
        limit.accepted()
        sizes.append(limit.polls)
    assert sizes == [2, 4, 8, 10, 10]
    assert limit.polls == 10


def test_a_poll_refused_alone_three_times_in_a_row_is_given_up() -> None:
    """Not earlier, and again after each further refusal."""
    limit = BatchLimit(10)
    assert [limit.refused(1, "a") for _ in range(4)] == [False, False, True, True]


def test_another_head_starts_a_new_count() -> None:
    """The spool's limits may have dropped the old one."""
    limit = BatchLimit(10)
    assert [limit.refused(1, head) for head in "aabaab"] == [False] * 6


def test_a_success_starts_a_new_count() -> None:
    """Only refusals in a row count."""
    limit = BatchLimit(10)
    limit.refused(1, "a")
    limit.refused(1, "a")
    limit.accepted()
    assert not limit.refused(1, "a")


def test_after_a_reset_the_head_needs_three_refusals_again() -> None:
    """Refusals by an unhealthy server do not count."""
    limit = BatchLimit(10)
    for _ in range(3):
        limit.refused(1, "a")
    limit.reset_refusals()
    assert [limit.refused(1, "a") for _ in range(3)] == [False, False, True]


def test_a_size_that_was_too_large_is_not_retried_soon() -> None:
    """The limit stays below it, as large as doubling allows."""
    limit = BatchLimit(1000)
    limit.too_large(100)
    limit.too_large(limit.polls)
    sizes = []
    for _ in range(3):
        limit.accepted()
        sizes.append(limit.polls)
    assert sizes == [25, 25, 25]


def test_a_size_that_was_too_large_is_retried_after_many_posts() -> None:
    """A proxy's limit may have changed by then."""
    limit = BatchLimit(1000)
    limit.too_large(100)
    sizes = []
    for _ in range(REMEMBERED_POSTS + 4):
        limit.accepted()
        sizes.append(limit.polls)
    assert sizes[-6:] == [50, 100, 200, 400, 800, 1000]


def test_half_of_what_was_late_is_tried_next() -> None:
    """The late size is not retried with every other post, since each try costs half a minute."""
    limit = BatchLimit(1000)
    limit.late(100)
    sizes = [limit.polls]
    for _ in range(REMEMBERED_POSTS - 1):
        limit.accepted()
        sizes.append(limit.polls)
    assert set(sizes) == {50}
    limit.accepted()
    assert limit.polls == 100


def test_failures_that_say_nothing_lead_to_a_smaller_number() -> None:
    """If a single poll is accepted and the former number fails again; it is then halved to the limit."""
    limit = BatchLimit()
    tried = []
    for _ in range(20):
        tried.append(limit.polls)
        if limit.polls <= 130:
            limit.accepted()
        else:
            limit.failed(limit.polls)
    assert tried[:9] == [1000, 1000, 1000, 1, 1000, 500, 250, 125, 125]
    assert set(tried[8:]) == {125}


def test_an_outage_during_the_search_for_a_limit_ends_it() -> None:
    """A single poll that fails proves that the size is not to blame. The search takes ten posts at most."""
    limit = BatchLimit()
    for _ in range(3):
        limit.failed(limit.polls)
    limit.accepted()
    tried = []
    for _ in range(12):
        tried.append(limit.polls)
        limit.failed(limit.polls)
    assert tried == [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1000, 1000]
    assert not limit.blames_size


def test_the_limit_recovers_soon_after_a_server_hung() -> None:
    """No post was small enough for it, so a few posts later the limit is as large as before."""
    limit = BatchLimit(1000)
    while limit.polls > 1:
        limit.late(limit.polls)
    sizes = []
    while limit.polls < 1000:
        limit.accepted()
        sizes.append(limit.polls)
    assert len(sizes) < 15


def test_a_late_size_does_not_shorten_the_memory_of_a_too_large_one() -> None:
    """A proxy refuses that size as long as before."""
    limit = BatchLimit(1000)
    limit.late(4)
    limit.too_large(8)
    sizes = []
    for _ in range(REMEMBERED_POSTS - 1):
        limit.accepted()
        sizes.append(limit.polls)
    assert set(sizes) == {4}


def test_a_single_poll_that_is_too_large_limits_no_others() -> None:
    """It was found alone, so the number of polls was not the cause."""
    limit = BatchLimit(1000)
    limit.too_large(2)
    limit.refused(1, "head")
    limit.accepted()
    assert limit.polls == 2


def test_a_bad_poll_does_not_limit_the_size() -> None:
    """It is refused for its content, so the others go as fast as before."""
    limit = BatchLimit(1000)
    limit.refused(8, "head")
    limit.accepted()
    assert limit.polls == 8


@given(
    st.lists(st.sampled_from(["accepted", "refused", "too large", "late"]), max_size=60),
    st.integers(1, 2000),
)
def test_it_stays_between_one_and_the_largest(outcomes: list[str], largest: int) -> None:
    """Whatever is accepted and refused."""
    limit = BatchLimit(largest)
    for outcome in outcomes:
        match outcome:
            case "accepted":
                limit.accepted()
            case "refused":
                limit.refused(limit.polls, "head")
            case "late":
                limit.late(limit.polls)
            case _:
                limit.too_large(limit.polls)
        assert 1 <= limit.polls <= largest


# Which polls go into the next post.

AGENT = Origin("a" * 64, "host")


def layout_of(series: int, interval_ms: int = 1000, origin: Origin = AGENT) -> Layout:
    """A layout with so many series."""
    return Layout(origin, interval_ms, tuple(Series(f"k{n}", INTEGER) for n in range(series)))


def sizes(layouts: list[Layout], datapoints: int) -> list[int]:
    """The numbers of polls in the posts of a backlog with one poll for each layout."""
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


def test_no_polls_make_no_post() -> None:
    """There is nothing to choose."""
    assert first_post([], lambda _: layout_of(1)) == []


def test_as_many_polls_as_one_post_may_hold() -> None:
    """A post is filled; the next begins with the poll that did not fit."""
    assert sizes([layout_of(10)] * 7, datapoints=30) == [3, 3, 1]


def test_a_poll_larger_than_a_post_goes_alone() -> None:
    """It is sent anyway, without others."""
    small, large = layout_of(1), layout_of(50)
    assert sizes([small, small, large, small], datapoints=10) == [2, 1, 1]


def test_polls_of_several_layouts_share_a_post() -> None:
    """A disk that appears or disappears does not start a new post."""
    assert sizes([layout_of(2), layout_of(3), layout_of(2)], datapoints=100) == [3]


def test_polls_of_several_intervals_share_a_post() -> None:
    """Each datapoint has its own interval, so groups of families need no separate posts."""
    assert sizes([layout_of(2), layout_of(2, 2000), layout_of(2)], datapoints=100) == [3]


def test_another_origin_starts_a_new_post() -> None:
    """A post is of one agent, one host and one program."""
    others = [Origin("b" * 64, "host"), Origin("a" * 64, "another")]
    layouts = [layout_of(2), *(layout_of(2, origin=origin) for origin in others)]
    assert sizes(layouts, datapoints=100) == [1, 1, 1]


def test_an_empty_poll_is_sent_too() -> None:
    """A layout without series takes no room, and its polls block nothing."""
    assert sizes([layout_of(0), layout_of(5), layout_of(0)], datapoints=5) == [3]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from([1000, 2000])), max_size=30),
    st.integers(1, 40),
)
def test_any_backlog_goes_in_order_and_within_the_limit(
    shapes: list[tuple[int, int]], datapoints: int
) -> None:
    """Every poll is sent once, in order; only a single poll may exceed the limit."""
    layouts = [layout_of(*shape) for shape in shapes]
    begin = 0
    for size in sizes(layouts, datapoints):
        post = layouts[begin : begin + size]
        assert size == 1 or sum(len(layout.series) for layout in post) <= datapoints
        begin += size
    assert begin == len(layouts)

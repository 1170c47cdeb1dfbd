"""The fate of polls that a server does not accept, with a real spool and a real server."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import Layout
from pattoo_mp.upload.delivery import Delivery
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pacing import Backoff
from pattoo_mp.upload.pattoo.legacy import LegacyPosts, LegacySource
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode
from tests.spool.polls import LAYOUT, LAYOUTS, fill, poll, times
from tests.support.ports import at, dropping_port
from tests.support.server import Post
from tests.support.spools import OUTPUT
from tests.support.waiting import wait_for
from tests.upload import originals
from tests.upload.moody import (
    RESET,
    WELL,
    MoodyServer,
    accepting,
    disk_full,
    failing_above,
    hanging_above,
    late_above,
    refusing,
    saying,
    too_large_above,
)
from tests.upload.posting import Posting, begin_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.upload.post import Source
    from tests.upload.moody import Mood

OTHER_HOST = Layout(replace(LAYOUT.origin, hostname="another"), 1000, LAYOUT.series)
NO_SERVER = b"<html>Log in first</html>"
#: The time limit of an exchange that must exceed it, and of one that must not.
SHORT_S = 1.0
DEADLINE_S = 20.0


@pytest.fixture
def posting(home: Path, moody: MoodyServer) -> Iterator[Posting]:
    """A drain to that server, not started yet."""
    for begin in begin_in(home, moody):
        yield begin()


@pytest.mark.parametrize("old_posts", [0, 1])
def test_an_attempt_says_whether_more_is_waiting(
    posting: Posting, moody: MoodyServer, home: Path, old_posts: int
) -> None:
    """More polls than the post could hold, here of two hosts, or the original agent's posts."""
    originals.keep(home, *range(old_posts))
    polls = [(1, poll(1)), (2, poll(2, OTHER_HOST))]
    posting.spool.append(polls, {**LAYOUTS, OTHER_HOST.identifier: OTHER_HOST.packed}, "c")
    sources: list[Source] = [
        LegacySource(LegacyPosts(home, originals.AGENT_ID), lambda: 1),
        SpooledPosts(Outbox(posting.spool, OUTPUT), lambda: 1, encode),
    ]
    delivery = Delivery(sources, PattooTransport(at(moody.port)), lambda: 1, Backoff())
    found = [attempt.more for attempt in iter(delivery.attempt, None)]
    assert found == [True] * (old_posts + 1) + [False]


# --- refused by a healthy server


def test_a_poll_that_no_server_accepts_goes_alone_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """With the server's answer. The others arrive once each, in order."""
    moody.mood = refusing(51)
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [number for number in range(1, 101) if number != 51]
    assert posting.quarantine() == [(51, "status 500 Internal Server Error: 'cannot read this'")]
    assert (posting.accounts[-1].delivered, posting.accounts[-1].quarantined) == (99, 1)


def test_several_such_polls_go_into_quarantine(posting: Posting, moody: MoodyServer) -> None:
    """At both ends and in a row: each separately."""
    moody.mood = refusing(1, 7, 8, 9, 20)
    fill(posting.spool, 1, 20)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [n for n in range(1, 21) if n not in {1, 7, 8, 9, 20}]
    assert [timestamp for timestamp, _ in posting.quarantine()] == [1, 7, 8, 9, 20]


def test_a_poll_is_refused_three_times_alone_before_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """Posts halve down to one poll, and nothing newer overtakes it meanwhile."""
    moody.mood = refusing(1)
    fill(posting.spool, 1, 8)
    posting.start()
    posting.wait_until_empty()
    empty = 0
    assert moody.sizes()[:8] == [8, 4, 2, 1, 1, 1, empty, 1]
    assert posting.drawn == []  # the usual distance between posts, no back-off


def test_a_poll_refused_twice_does_not_go_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """The third time it is accepted."""
    refusals = iter([500, 500])

    def mood(_: bytes) -> tuple[int, bytes, dict[str, str]]:
        return (next(refusals, 200), b"OK", {})

    moody.mood = mood
    fill(posting.spool, 1, 1)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [1]
    assert posting.quarantine() == []


def test_posts_grow_again_after_a_success(posting: Posting, moody: MoodyServer) -> None:
    """They double each time, so a backlog is not sent one poll at a time."""
    moody.mood = refusing(1)
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    sizes = [len(post.timestamps()) for post in moody.posts]
    assert sizes[:7] == [0, 1, 2, 4, 8, 16, 32]


# --- refused by an unhealthy server


@pytest.mark.parametrize(
    "page",
    [(500, WELL), (503, b"no"), (200, b"OK"), (200, NO_SERVER), (302, WELL), (404, b"")],
)
def test_an_unhealthy_server_puts_nothing_into_quarantine(
    posting: Posting, moody: MoodyServer, page: tuple[int, bytes]
) -> None:
    """All polls are kept and retried together, with back-off, and arrive when it is healthy."""
    moody.mood, moody.page = saying(500), page
    fill(posting.spool, 1, 30)
    posting.start()
    wait_for(lambda: len(moody.bodies) >= 8, what="some attempts")
    assert set(moody.sizes()) == {30}
    assert posting.drawn[:7] == [1, 2, 4, 8, 16, 30, 30]
    moody.mood, moody.page = accepting, (200, WELL)
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 31))
    assert posting.quarantine() == []


def test_a_server_that_goes_away_meanwhile_puts_nothing_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """A status page that cannot be reached is not healthy. All polls arrive when it is back."""

    def last_words(_: bytes) -> tuple[int, bytes, dict[str, str]]:
        moody.down()
        return 500, b"no", {}

    moody.mood = last_words
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_for_error("Connection refused")
    moody.mood = accepting
    moody.up()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 31))
    assert posting.quarantine() == []


def test_a_full_disk_of_the_servers_puts_nothing_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """Its status page says it is well, but it refuses even a test post: the data is not to blame."""
    moody.mood = disk_full
    fill(posting.spool, 1, 4)
    posting.start()
    wait_for(lambda: moody.sizes().count(0) >= 3, what="some test posts")
    posting.wait_for_error("it refuses a test post, too")
    assert times(posting.spool) == [1, 2, 3, 4]
    moody.mood = accepting
    posting.wait_until_empty()
    assert moody.timestamps() == [1, 2, 3, 4]
    assert posting.quarantine() == []
    assert all(Post("", body).datapoints() for body in moody.bodies), "an empty post"


# --- too large


def test_posts_that_are_too_large_become_smaller(posting: Posting, moody: MoodyServer) -> None:
    """Smaller posts fit a proxy's limit: all polls arrive, in order."""
    moody.mood = too_large_above(3000)
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 101))
    assert max(len(post.body) for post in moody.posts) <= 3000
    assert posting.quarantine() == []


def test_a_proxys_limit_is_found_once(posting: Posting, moody: MoodyServer) -> None:
    """Posts of a backlog stay below the size that was refused."""
    moody.mood = too_large_above(3000)
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    refused = [len(body) > 3000 for body in moody.bodies]
    assert refused == sorted(refused, reverse=True)
    assert moody.timestamps() == list(range(1, 101))


def test_too_large_needs_no_status_page(posting: Posting, moody: MoodyServer) -> None:
    """The remedy is clear, and a proxy may hide that page."""
    moody.mood, moody.page = too_large_above(3000), (403, b"hidden")
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 101))


def test_a_single_poll_that_is_too_large_goes_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """It cannot be split, and must not block the others forever."""
    moody.mood = lambda body: (
        (413, b"", {}) if b'"pattoo_timestamp",2]' in body else accepting(body)
    )
    fill(posting.spool, 1, 3)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [1, 3]
    assert [timestamp for timestamp, _ in posting.quarantine()] == [2]


# --- a limit that is not told


@pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 405, 431, 501, 502, 503, 507])
def test_posts_that_a_way_does_not_take_become_smaller(
    posting: Posting, moody: MoodyServer, status: int
) -> None:
    """Whatever it says of large ones (0: a reset). All polls arrive, in order; none is quarantined."""
    moody.mood, moody.page = failing_above(3000, status), (403, b"hidden")
    fill(posting.spool, 1, 100)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 101))
    assert posting.quarantine() == []
    failed = [len(body) for body in moody.bodies if len(body) > 3000]
    assert len(failed) <= 3 + 8, "the search is bounded"


def test_a_small_limit_that_is_not_told_is_tried_rarely(
    posting: Posting, moody: MoodyServer
) -> None:
    """Each try costs a second, in which polls arrive: with a few polls a post, a backlog must shrink."""
    moody.mood, moody.page = failing_above(1000, 0), (403, b"hidden")
    fill(posting.spool, 1, 400)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 401))
    sizes = [len(post.timestamps()) for post in moody.posts]
    assert max(sizes) <= 5, "a limit of a few polls"
    failed = [body for body in moody.bodies if len(body) > 1000]
    assert len(failed) <= 3 + 10 + len(sizes) / 40


@pytest.mark.parametrize("status", [0, 502])
def test_an_outage_is_not_taken_for_a_limit(
    posting: Posting, moody: MoodyServer, status: int
) -> None:
    """Small posts fail, too. Afterwards all polls go in one post, at once."""
    moody.mood = failing_above(0, status)
    fill(posting.spool, 1, 100)
    posting.start()
    wait_for(lambda: len(moody.bodies) >= 10, what="ten attempts")
    assert moody.sizes()[:8] == [100, 100, 100, 1, 100, 100, 100, 1]
    assert posting.drawn[:7] == [1, 2, 4, 8, 16, 30, 30], "with back-off"
    moody.mood = accepting
    posting.wait_until_empty()
    assert [len(post.timestamps()) for post in moody.posts] in ([100], [1, 99])
    assert posting.quarantine() == []


# --- late


@pytest.mark.parametrize("is_reported", [False, True])
def test_posts_that_are_late_become_smaller(
    home: Path, moody: MoodyServer, is_reported: bool
) -> None:
    """So a backlog gets through a slow network, or to a slow server, in posts that arrive in time.

    Also if a proxy reports it. Each late post is followed by back-off, since its size may not be
    the reason.
    """
    over = threading.Event()
    moody.mood = late_above(3000) if is_reported else hanging_above(3000, over)
    for begin in begin_in(home, moody):
        posting = begin(exchange_s=DEADLINE_S if is_reported else SHORT_S)
        fill(posting.spool, 1, 100)
        posting.start()
        posting.wait_until_empty()
        over.set()
        late = [len(body) > 3000 for body in moody.bodies]
        assert late == sorted(late, reverse=True)
        assert posting.drawn == [1, 2, 4, 8][: sum(late)]
    assert moody.timestamps() == list(range(1, 101))


def test_a_server_that_hung_gets_large_posts_again_soon(
    posting: Posting, moody: MoodyServer
) -> None:
    """No post was small enough while it hung, so small ones make no sense once it works."""
    moody.mood = saying(504)
    fill(posting.spool, 1, 100)
    posting.start()
    wait_for(lambda: moody.sizes()[-2:] == [1, 1], what="posts of a single poll")
    before = len(moody.sizes())
    moody.mood = accepting
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 101))
    assert len(moody.sizes()) - before < 15
    assert posting.quarantine() == []


def test_a_connection_that_times_out_makes_no_post_smaller(posting: Posting) -> None:
    """No byte was sent, so the size was not the cause."""
    fill(posting.spool, 1, 100)
    source = SpooledPosts(Outbox(posting.spool, OUTPUT), lambda: 1, encode)
    before = source.batch_limit.polls
    with dropping_port() as port:
        delivery = Delivery(
            [source], PattooTransport(at(port), exchange_s=SHORT_S), lambda: 1, Backoff()
        )
        attempt = delivery.attempt()
    assert attempt is not None
    assert attempt.fault is Fault.LATE
    assert source.batch_limit.polls == before


# --- busy, and not pattoo


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_not_posted_to_before_its_retry_after(
    posting: Posting, moody: MoodyServer, status: int
) -> None:
    """Retry-After in seconds. The polls stay together and arrive afterwards."""
    moody.mood = saying(status, Retry_After="1")
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_for_error(f"status {status}")
    moody.mood = accepting
    posting.wait_until_empty()
    state = posting.states[-1]
    assert state.last_post_ms - state.last_error_ms >= 990
    assert moody.sizes() == [30, 30]


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_server_that_requires_credentials_is_retried_slowly(
    posting: Posting, moody: MoodyServer, status: int
) -> None:
    """At the largest delay. All polls are kept, and the error names the setting."""
    moody.mood = saying(status)
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_for_error("credentials_file")
    assert posting.error.startswith(f"status {status} ")
    assert times(posting.spool) == list(range(1, 31))
    assert posting.drawn[0] == 30
    assert posting.quarantine() == []
    moody.mood = accepting
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 31))


@pytest.mark.parametrize(
    "mood",
    [saying(404), saying(400), saying(405), saying(201, b"OK"), saying(204, b""),
     saying(302, b"", Location="http://127.0.0.1:1/"), saying(200, NO_SERVER)],
)  # fmt: skip
def test_something_other_than_pattoo_is_retried_slowly_and_named(
    posting: Posting, moody: MoodyServer, mood: Mood
) -> None:
    """All polls are kept, and the error says what to check."""
    moody.mood = mood
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_for_error("this is not how a pattoo server answers a post: check ip_address")
    assert posting.error.startswith("status ")
    assert times(posting.spool) == list(range(1, 31))
    assert posting.drawn[0] == 30
    moody.mood = accepting
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 31))


# --- a single poll that a way never takes


def failing_for(status: int, *timestamps: int) -> Mood:
    """Answer each post that holds one of these polls with a status, or by a reset (0)."""

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if not set(timestamps) & set(Post("", body).timestamps()):
            return accepting(body)
        return (status, b"no", {}) if status else RESET

    return mood


@pytest.mark.parametrize(
    ("status", "bad"),
    [
        *((status, (7,)) for status in (400, 404, 413, 431, 503)),
        *((status, (1, 2, 20)) for status in (0, 403, 500, 502, 504)),
    ],
)
def test_a_poll_that_a_way_never_takes_goes_alone_into_quarantine(
    posting: Posting, moody: MoodyServer, status: int, bad: tuple[int, ...]
) -> None:
    """Although no status page says that the server is well. The others arrive once each, in order."""
    hides_page = status != 500  # a server that answers 500 to all, and is not well, may be ill
    moody.mood, moody.page = failing_for(status, *bad), (403, b"") if hides_page else (200, WELL)
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [number for number in range(1, 31) if number not in bad]
    assert [timestamp for timestamp, _ in posting.quarantine()] == list(bad)
    account = posting.accounts[-1]
    assert (account.delivered, account.quarantined) == (30 - len(bad), len(bad))


@pytest.mark.parametrize("status", [0, 413])
def test_a_way_that_takes_no_poll_puts_none_into_quarantine(
    posting: Posting, moody: MoodyServer, status: int
) -> None:
    """It takes test posts only. When its limit is raised, all polls arrive, in order."""
    every = range(1, 31)
    limited = failing_for(status, *every)

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if moody.sizes().count(0) >= 20 and 1 in Post("", body).timestamps():
            moody.mood = accepting
        return limited(body) if moody.mood is mood else accepting(body)

    moody.mood, moody.page = mood, (403, b"")
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(every)
    assert posting.quarantine() == []


def test_a_way_that_fails_at_random_puts_nothing_into_quarantine(
    posting: Posting, moody: MoodyServer
) -> None:
    """A third of its answers are failures, whatever is posted."""
    chance = random.Random(1)
    moody.mood = lambda body: RESET if chance.random() < 1 / 3 else accepting(body)
    moody.page = (403, b"")
    fill(posting.spool, 1, 30)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == list(range(1, 31))
    assert posting.quarantine() == []


def test_an_old_post_that_a_way_never_takes_holds_up_nothing(
    home: Path, moody: MoodyServer
) -> None:
    """The original agent's posts go first. That one is renamed, and everything else arrives."""
    bad, good = originals.timestamp(0), originals.timestamp(1)
    originals.keep(home, 0, 1)
    moody.mood, moody.page = failing_for(502, bad), (403, b"")
    legacy = LegacyPosts(home, originals.AGENT_ID)
    for begin in begin_in(home, moody):
        posting = begin(legacy)
        fill(posting.spool, 1, 3)
        posting.start()
        posting.wait_until_empty()
    assert moody.timestamps() == [good, 1, 2, 3]
    assert [path.suffix for path in sorted((home / originals.AGENT_ID).iterdir())] == [".refused"]


def test_the_only_old_post_is_passed_by_if_a_poll_is_taken(home: Path, moody: MoodyServer) -> None:
    """The poll after it is one of the spool."""
    originals.keep(home, 0)
    moody.mood, moody.page = failing_for(0, originals.timestamp(0)), (403, b"")
    for begin in begin_in(home, moody):
        posting = begin(LegacyPosts(home, originals.AGENT_ID))
        fill(posting.spool, 1, 3)
        posting.start()
        posting.wait_until_empty()
    assert moody.timestamps() == [1, 2, 3]


def test_what_a_server_says_about_posts_that_it_accepted_is_logged_once(
    posting: Posting, moody: MoodyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As a receiver does where an agent has more series than it keeps: in a header, made printable."""
    moody.mood = lambda _: (200, b"OK", {"Warning": '299 receiver "too\tmany series"'})
    fill(posting.spool, 1, 1)
    posting.start()
    posting.wait_until_empty()
    fill(posting.spool, 2, 2)
    posting.drain.wake()
    wait_for(lambda: len(moody.posts) == 2, what="the second post")
    posting.wait_until_empty()
    assert caplog.text.count('says: 299 receiver "too many series"') == 1

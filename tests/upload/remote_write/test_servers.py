"""The posting thread of an output of kind remote_write, as the agent makes it."""

from __future__ import annotations

import threading
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.app import _sender
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.pattoo.legacy import LegacyPosts
from pattoo_mp.upload.spooled import Outbox
from tests.support.between import Between, Reply
from tests.support.configs import config_in
from tests.support.prometheus import prometheus
from tests.support.spools import AMPLE, open_spool
from tests.support.waiting import wait_for
from tests.upload.remote_write.sending import LAYOUT, NAME, STEP_MS, output, start_ms, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.ipc.messages import UploadState
    from pattoo_mp.spool.store import Spool

from pattoo_mp.model import Poll


class Posting:
    """A drain to `url` that runs."""

    def __init__(self, home: Path, url: str) -> None:
        self.spool: Spool = open_spool(home / "spool.sqlite", AMPLE, outputs=(NAME,))
        self.states: list[UploadState] = []
        self.troubles: list[str] = []
        outbox = Outbox(self.spool, NAME)
        legacy = LegacyPosts(home / "none", "f" * 64)
        self.drain = Drain(
            outbox,
            _sender(config_in(home), output(url), outbox, "f" * 64, legacy),
            self.states.append,
            self.troubles.append,
            backoff=Backoff(lambda _low, _high: 0.01),
            pace=Pace(spacing_s=0.01, least_s=0.01),
        )
        self.thread = threading.Thread(target=self.drain.run, daemon=True)
        self.thread.start()

    def append(self, first: int, last: int, start: int) -> None:
        """Put polls into the spool, and wake the drain."""
        polls = [
            (n, Poll.of(LAYOUT, start + STEP_MS * n, values_of(n))) for n in range(first, last + 1)
        ]
        self.spool.append(polls, {LAYOUT.identifier: LAYOUT.packed}, "c")
        self.drain.wake()

    def end(self) -> None:
        """End it."""
        self.drain.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.spool.close()


@pytest.fixture
def between() -> Iterator[Between]:
    """What the drain posts to."""
    running = Between()
    yield running
    running.close()


def has_delivered(posting: Posting, polls: int) -> bool:
    """Whether the account says that so many polls were delivered."""
    return posting.spool.account(NAME).delivered >= polls


def test_polls_arrive_whatever_becomes_of_answers(tmp_path: Path, between: Between) -> None:
    """Every third request that is stored gets no answer, and every twentieth fails.

    The receiver has each poll once.
    """
    stored = count()
    with prometheus(tmp_path / "prometheus") as store:
        between.receiver_port = store.port
        between.before = lambda _: Reply(503) if len(between.bodies) % 20 == 19 else None
        between.after = lambda _, reply: (
            Reply(0) if reply.status == 204 and next(stored) % 3 == 1 else reply
        )
        posting = Posting(tmp_path, between.url)
        start = start_ms()
        try:
            for begin in range(1, 400, 20):
                posting.append(begin, begin + 19, start)
                wait_for(partial(has_delivered, posting, begin), what="some polls")
            wait_for(lambda: not posting.spool.account(NAME).waiting, what="an empty spool")
        finally:
            posting.end()
        for name in ("pattoo_load", "pattoo_temperature", "pattoo_host_info"):
            (series,) = store.samples(name).values()
            assert [time_ms for time_ms, _ in series] == [
                start + STEP_MS * n for n in range(1, 401)
            ]


def test_a_poll_ahead_of_the_clock_is_a_trouble_of_this_host(
    tmp_path: Path, between: Between
) -> None:
    """And not a failure of the receiver. The thread rests meanwhile."""
    posting = Posting(tmp_path, between.url)
    try:
        posting.append(1, 1, start_ms(-3600))
        wait_for(lambda: posting.troubles, what="a trouble")
        assert "ahead of this host's clock" in posting.troubles[-1]
        assert not posting.states[-1].last_error
        assert between.bodies == []
    finally:
        posting.end()

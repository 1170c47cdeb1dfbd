"""Fail-over between several real servers."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.failover import Preference, Server, Servers
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.upload.spooled import Outbox
from tests.spool.polls import LAYOUT, fill
from tests.support.ports import at
from tests.support.server import TEXT, PattooServer, answering
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
from tests.upload.posting import Reports, sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


AGENT_ID = LAYOUT.origin.agent_id
AFTER_S = 300.0
MOMENT_S = 0.005


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Rig(Reports):
    """A drain from a spool to two servers."""

    def __init__(self, home: Path, *servers: PattooServer) -> None:
        super().__init__(open_spool(home / "spool.sqlite", AMPLE))
        self.clock = Clock()
        self._servers = Servers(
            [
                Server(PattooTransport(at(server.port)), PattooTransport(at(server.port)))
                for server in servers
            ],
            AGENT_ID,
            AFTER_S,
            self.clock,
        )
        self._drain = Drain(
            outbox := Outbox(self.spool, OUTPUT),
            sender(self._servers, outbox),
            self.note,
            backoff=Backoff(lambda _, __: MOMENT_S),
            pace=Pace(spacing_s=MOMENT_S, least_s=MOMENT_S),
        )
        self._thread = threading.Thread(target=self._drain.run, daemon=True)
        self._thread.start()
        self._polls = 0

    def poll(self, count: int = 1) -> None:
        """Put `count` new polls into the spool."""
        fill(self.spool, self._polls + 1, self._polls + count)
        self._polls += count
        self._drain.wake()

    def wait_until_empty(self) -> None:
        """Wait until all polls are delivered, and the report of it has been sent."""
        wait_for(
            lambda: self.accounts and self.accounts[-1].delivered == self._polls,
            what="an empty spool",
        )

    def wait_for_failures(self) -> None:
        """Wait for two more failed attempts."""
        before = len(self.states)

        def failures() -> int:
            return sum(state.failing_since_ms > 0 for state in self.states[before:])

        wait_for(lambda: failures() >= 2, what="failures")

    def end(self) -> None:
        """End it."""
        self._drain.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.spool.close()


@pytest.fixture
def rig(home: Path, server: PattooServer, elsewhere: PattooServer) -> Iterator[Rig]:
    """Posts to `server`, or else to `elsewhere`."""
    made = Rig(home, server, elsewhere)
    yield made
    made.end()


def test_posts_fail_over_to_another_server_and_return(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Each poll is delivered once, and each server gets its polls in order."""
    rig.poll(3)
    rig.wait_until_empty()
    server.down()
    rig.poll(3)
    rig.wait_for_failures()
    assert elsewhere.attempts == 0
    rig.clock.now += AFTER_S
    rig.wait_until_empty()
    assert elsewhere.timestamps() == [4, 5, 6]
    assert rig.states[-1].server.startswith(at(elsewhere.port))
    assert rig.states[-1].instead_of.startswith(at(server.port))

    server.up()
    rig.poll()
    rig.wait_until_empty()
    for expected in ([4, 5, 6, 7, 8], [4, 5, 6, 7, 8, 9]):
        rig.clock.now += AFTER_S / 2
        rig.poll()
        rig.wait_until_empty()
        assert elsewhere.timestamps() == expected
    rig.clock.now += AFTER_S / 2
    rig.poll()
    wait_for(lambda: not rig.states[-1].instead_of, what="the way back")
    rig.poll()
    rig.wait_until_empty()
    assert server.timestamps() == [1, 2, 3, 11]
    assert elsewhere.timestamps() == [4, 5, 6, 7, 8, 9, 10]
    account = rig.accounts[-1]
    assert (
        account.delivered,
        account.quarantined,
        dict(account.dropped),
    ) == (11, 0, {})


def test_no_fail_over_to_a_server_that_refuses_a_test_post(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Its status page may say that it is well although its disk is full."""
    server.down()
    elsewhere.behaviour = answering(500)
    rig.poll()
    rig.wait_for_failures()
    rig.clock.now += AFTER_S
    wait_for(lambda: elsewhere.attempts >= 2, what="test posts")
    assert rig.states[-1].server.startswith(at(server.port))
    assert [point["pattoo_data_type"] for point in elsewhere.latest.datapoints()] == [TEXT]
    server.up()
    rig.wait_until_empty()
    assert server.timestamps() == [1]


def test_a_server_that_refuses_our_credentials_causes_a_fail_over(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """The reason does not matter: it accepts nothing."""
    server.behaviour = answering(401)
    rig.poll(2)
    rig.wait_for_failures()
    rig.clock.now += AFTER_S
    rig.wait_until_empty()
    assert elsewhere.timestamps() == [1, 2]


# Which of several servers gets the posts.


class Site:
    """Servers that are healthy or not, and an agent that posts to them every `step_s`."""

    def __init__(self, count: int, step_s: float = 10.0) -> None:
        self.preference = Preference(count, AFTER_S)
        self.well = [True] * count
        self.now = 1000.0
        self.step_s = step_s
        self.looks: list[int] = []
        self.changes: list[tuple[float, int]] = [(self.now, 0)]

    def step(self) -> None:
        """Make one attempt, with what follows from it."""
        self.now += self.step_s
        preference = self.preference
        preference.note_attempt(self.now, accepted=self.well[preference.current])
        for number in preference.to_probe(self.now):
            self.looks.append(number)
            if preference.note_probe(number, self.now, healthy=self.well[number]):
                preference.switch_to(number, self.now)
                self.changes.append((self.now, number))
                break

    def go_on(self, seconds: float) -> int:
        """Post for so long. Return the current server then."""
        until = self.now + seconds
        while self.now < until:
            self.step()
        return self.preference.current


def test_the_first_server_is_used_while_it_accepts_posts() -> None:
    """And no other is probed."""
    site = Site(3)
    assert site.go_on(10_000) == 0
    assert site.looks == []


def test_a_short_outage_changes_nothing() -> None:
    """The spool waits, and no other server is probed."""
    site = Site(2)
    site.well[0] = False
    assert site.go_on(AFTER_S) == 0
    site.well[0] = True
    assert site.go_on(1000) == 0
    assert site.looks == []


def test_short_outages_do_not_add_up() -> None:
    """One accepted post restarts the count."""
    site = Site(2)
    for _ in range(10):
        site.well[0] = False
        assert site.go_on(AFTER_S - 20) == 0
        site.well[0] = True
        assert site.go_on(10) == 0


def test_after_a_longer_outage_the_next_healthy_server_takes_over() -> None:
    """In order of preference, skipping unhealthy ones."""
    site = Site(3)
    site.well[0] = site.well[1] = False
    assert site.go_on(AFTER_S + 10) == 2
    assert site.looks == [1, 2]


def test_if_all_servers_fail_the_first_healthy_one_takes_over() -> None:
    """Until then the current one is retried."""
    site = Site(3)
    site.well = [False, False, False]
    assert site.go_on(5000) == 0
    site.well[2] = True
    assert site.go_on(10) == 2
    site.well = [False, True, False]
    assert site.go_on(AFTER_S + 10) == 1


def test_posts_return_to_a_preferred_server_that_stays_healthy() -> None:
    """Every probe must find it healthy; a failed one restarts the time."""
    site = Site(2)
    site.well[0] = False
    assert site.go_on(AFTER_S + 10) == 1
    site.well[0] = True
    assert site.go_on(AFTER_S - 10) == 1
    site.well[0] = False
    assert site.go_on(70) == 1
    site.well[0] = True
    assert site.go_on(AFTER_S - 10) == 1
    assert site.go_on(90) == 0


def test_a_preferred_server_is_probed_only_now_and_then() -> None:
    """A probe is a request, and posts wait for it."""
    site = Site(2, step_s=1)
    site.well[0] = False
    site.go_on(2 * AFTER_S)
    site.looks.clear()
    site.go_on(600)
    assert 9 <= len(site.looks) <= 11


def test_posts_return_to_the_best_healthy_server_in_the_end() -> None:
    """By way of another one, if that was healthy earlier."""
    site = Site(3)
    site.well = [False, False, True]
    assert site.go_on(AFTER_S + 10) == 2
    site.well[1] = True
    assert site.go_on(2 * AFTER_S) == 1
    site.well[0] = True
    assert site.go_on(2 * AFTER_S) == 0


def test_if_the_other_server_fails_posts_return_without_a_wait() -> None:
    """Once it has failed for as long; no other server accepts anything."""
    site = Site(2)
    site.well[0] = False
    site.go_on(AFTER_S + 10)
    site.well = [True, False]
    assert site.go_on(AFTER_S + 10) == 0


def test_an_agent_that_posts_rarely_fails_over_too() -> None:
    """If it posts less often than the fail-over time, at its next posts."""
    site = Site(2, step_s=3600)
    site.well[0] = False
    assert site.go_on(7200) == 1
    site.well[0] = True
    assert site.go_on(7200) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 700)), min_size=1, max_size=40
    )
)
def test_switches_are_at_least_the_fail_over_time_apart(life: list[tuple[int, bool, int]]) -> None:
    """Whatever the servers do, posts do not flap."""
    site = Site(3)
    for number, well, seconds in life:
        site.well[number] = well
        site.go_on(seconds)
    assert all(after - before >= AFTER_S for (before, _), (after, _) in pairwise(site.changes))

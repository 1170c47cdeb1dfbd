"""What one server leaves to the next: after a reload, a fail-over, and for the probes of a second server."""

from __future__ import annotations

import threading
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.upload.answer import Outcome
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.failover import Preference
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.spooled import Outbox
from tests.spool.polls import fill
from tests.support.server import hanging
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
from tests.upload.posting import Reports, sender
from tests.upload.test_drain import FakeTransport, alone
from tests.upload.test_failover import AFTER_S, Rig
from tests.upload.test_uploader_settings import PROXY_LOGIN, Feed, World, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import PattooServer

#: An outage for which the server itself names a time.
BUSY = Outcome("busy", Fault.BUSY, retry_after_s=1000.0)


class Switching(Reports):
    """A drain whose server fails and asks for a long wait. `bounds` has the bound of each back-off."""

    def __init__(self, home: Path) -> None:
        super().__init__(open_spool(home / "spool.sqlite", AMPLE))
        self.outbox = Outbox(self.spool, OUTPUT)
        self.first = FakeTransport()
        self.bounds: list[float] = []
        self.drain = Drain(
            self.outbox,
            sender(alone(self.first), self.outbox),
            self.note,
            backoff=Backoff(self._draw),
            pace=Pace(spacing_s=0.01, least_s=0.01),
        )
        self._thread = threading.Thread(target=self.drain.run, daemon=True)

    def fail(self, *outcomes: Outcome) -> None:
        """Start, and let the first server fail so often; the last outcome has the drain wait."""
        self.first.outcomes = [*outcomes]
        fill(self.spool, 1, 1)
        self._thread.start()
        wait_for(lambda: not self.first.outcomes, what="the failures")
        wait_for(lambda: self.states and self.states[-1].failing_since_ms, what="a report of them")

    def end(self) -> None:
        """End it."""
        self.drain.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.spool.close()

    def _draw(self, _low: float, high: float) -> float:
        self.bounds.append(high)
        return 0.0


@pytest.fixture
def switching(home: Path) -> Iterator[Switching]:
    """A drain that is not started yet."""
    made = Switching(home)
    yield made
    made.end()


def test_a_new_server_gets_posts_at_once(switching: Switching) -> None:
    """However long the last one has asked to be left alone."""
    switching.fail(BUSY)
    new = FakeTransport()
    switching.drain.change(0, 0.01, sender(alone(new), switching.outbox))
    wait_for(lambda: new.timestamps() == [[1]], 20, "a post to the new one")


def test_the_failures_of_a_server_are_not_those_of_the_next(switching: Switching) -> None:
    """The next one has its own time of the first failure, and the back-off begins again."""
    failure = Outcome("no", Fault.UNREACHABLE)
    switching.fail(failure, failure, failure, BUSY)
    before, bounds = switching.states[-1].failing_since_ms, list(switching.bounds)
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == 4
    new = FakeTransport()
    new.url = "http://new/"
    new.outcomes = [BUSY]
    switching.drain.change(0, 0.01, sender(alone(new), switching.outbox))
    wait_for(lambda: not new.outcomes, 20, "its failure")
    wait_for(lambda: len(switching.bounds) > len(bounds), what="its back-off")
    assert switching.bounds[len(bounds)] == bounds[0]
    of_new = [state for state in switching.states if state.server == new.url]
    wait_for(lambda: switching.states[-1].last_error == "busy", what="a report of it")
    assert of_new[0].failing_since_ms == 0
    assert switching.states[-1].failing_since_ms > before


def test_a_change_without_other_servers_does_not_undo_the_one_before(switching: Switching) -> None:
    """Two reloads while a post is under way: the first has another server, the second another jitter."""
    switching.first.hangs = True
    fill(switching.spool, 1, 1)
    switching._thread.start()
    wait_for(lambda: switching.first.attempts, what="a post that hangs")
    new = FakeTransport()
    switching.drain.change(0, 0.01, sender(alone(new), switching.outbox))
    switching.drain.change(0, 0.02, None)
    switching.first.close()
    wait_for(lambda: new.timestamps() == [[1]], 20, "a post to the new one")


def test_a_stop_cuts_off_a_post_to_the_second_server(
    home: Path, server: PattooServer, elsewhere: PattooServer
) -> None:
    """After a fail-over the second server hangs: the drain ends all the same."""
    rig = Rig(home, server, elsewhere)
    until = threading.Event()
    try:
        server.down()
        rig.poll()
        rig.wait_for_failures()
        rig.clock.now += AFTER_S
        wait_for(lambda: elsewhere.posts, what="a fail-over")
        elsewhere.behaviour = hanging(until)
        attempts = elsewhere.attempts
        rig.poll()
        wait_for(lambda: elsewhere.attempts > attempts, what="a post that hangs")
        rig.end()
    finally:
        until.set()


def test_the_well_time_of_the_first_server_begins_again_with_each_switch() -> None:
    """Otherwise posts would leave a server as soon as they came to it."""
    chosen = Preference(3, 300)
    chosen.switch_to(2, 0)
    assert not chosen.note_probe(0, 0, healthy=True)
    assert not chosen.note_probe(0, 200, healthy=True)
    chosen.note_attempt(210, accepted=False)
    assert list(chosen.to_probe(510)) == [0, 1]
    assert not chosen.note_probe(0, 510, healthy=False)
    assert chosen.note_probe(1, 510, healthy=True)
    chosen.switch_to(1, 510)
    chosen.note_attempt(520, accepted=True)
    assert list(chosen.to_probe(520)) == [0]
    assert not chosen.note_probe(0, 520, healthy=True)
    assert not chosen.note_probe(0, 819, healthy=True)
    assert chosen.note_probe(0, 820, healthy=True)


# Probes go the same way as posts.


@pytest.fixture
def world(home: Path) -> Iterator[World]:
    """Servers and a proxy."""
    made = World(home)
    yield made
    made.close()


def test_a_second_server_is_probed_with_the_files_of_the_transport(
    home: Path, world: World
) -> None:
    """It is trusted by tls_ca_file alone, and requires a client certificate."""
    certificate, key = world.certificate(with_key=False)
    settings = {
        "servers": (world.closed_url, world.url(world.wanting)), "failover_after": 1.0,
        "tls_ca_file": world.authority.file, "tls_certificate_file": certificate,
        "tls_key_file": key,
    }  # fmt: skip
    with running(home, world, **settings) as process:
        feed = Feed(process)
        wait_for(lambda: feed() and world.wanting.posts, what="a fail-over")


def test_a_second_server_is_probed_through_the_proxy(home: Path, world: World) -> None:
    """With the credentials for it. A server that only the proxy reaches is probed by no other way."""
    world.proxy.accepts = f"Basic {b64encode(PROXY_LOGIN.encode()).decode()}"
    settings = {
        "servers": (world.closed_url, world.url(world.elsewhere)), "failover_after": 1.0,
        "proxy": world.proxy_url, "proxy_credentials_file": world.secret(PROXY_LOGIN),
    }  # fmt: skip
    with running(home, world, **settings) as process:
        feed = Feed(process)
        wait_for(lambda: feed() and world.elsewhere.posts, what="a fail-over")
    probe = f"GET {world.url(world.elsewhere)}/pattoo/api/v1/agent/status HTTP/1.1"
    assert probe in world.proxy.lines

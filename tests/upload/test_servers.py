"""Posts to several real servers, one of them at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.spool.store import Spool
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.failover import Server, Servers
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.wire.encode import encode
from tests.spool.polls import LAYOUT, fill
from tests.support.ports import at
from tests.support.server import PattooServer, answering
from tests.support.waiting import wait_for
from tests.upload.posting import Told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT_ID = LAYOUT.origin.agent_id
AFTER_S = 300.0
MOMENT_S = 0.005


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Rig(Told):
    """A drain of a spool to two servers."""

    def __init__(self, home: Path, *servers: PattooServer) -> None:
        super().__init__(Spool(home / "spool.sqlite"))
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
            self.spool,
            self._servers,
            self.note,
            encode=encode,
            backoff=Backoff(lambda _, __: MOMENT_S),
            pace=Pace(spacing_s=MOMENT_S, least_s=MOMENT_S),
        )
        self._thread = threading.Thread(target=self._drain.run, daemon=True)
        self._thread.start()
        self._polls = 0

    def poll(self, count: int = 1) -> None:
        """Put so many new polls into the spool."""
        fill(self.spool, self._polls + 1, self._polls + count)
        self._polls += count
        self._drain.wake()

    def wait_until_empty(self) -> None:
        """Wait until all of them have been taken by somebody, and what follows from it is done."""
        wait_for(
            lambda: self.accounts and self.accounts[-1].delivered == self._polls,
            what="an empty spool",
        )

    def wait_for_failures(self) -> None:
        """Wait for two more attempts that nobody took."""
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


def test_polls_go_over_to_another_server_and_come_back(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Each is delivered once, to whichever took it; either server gets its own in order."""
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
    assert (account.delivered, account.quarantined, dict(account.dropped)) == (11, 0, {})


def test_a_server_that_says_that_it_is_well_and_takes_nothing_is_not_gone_over_to(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """So is one whose disk is full: it is asked to take an empty post first."""
    server.down()
    elsewhere.behaviour = answering(500)
    rig.poll()
    rig.wait_for_failures()
    rig.clock.now += AFTER_S
    wait_for(lambda: elsewhere.attempts >= 2, what="empty posts")
    assert rig.states[-1].server.startswith(at(server.port))
    assert elsewhere.latest.timestamps() == []
    server.up()
    rig.wait_until_empty()
    assert server.timestamps() == [1]


def test_a_server_that_refuses_our_credentials_is_left_for_another(
    rig: Rig, server: PattooServer, elsewhere: PattooServer
) -> None:
    """Whatever the reason: it takes nothing."""
    server.behaviour = answering(401)
    rig.poll(2)
    rig.wait_for_failures()
    rig.clock.now += AFTER_S
    rig.wait_until_empty()
    assert elsewhere.timestamps() == [1, 2]

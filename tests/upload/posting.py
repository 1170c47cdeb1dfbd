"""A drain between a real spool and a real server, with short delays for tests."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from pattoo_mp.upload.delivery import Sender
from pattoo_mp.upload.drain import Drain
from pattoo_mp.upload.failover import Server, Servers
from pattoo_mp.upload.pacing import Backoff, Pace
from pattoo_mp.upload.pattoo.servers import deliverer
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.upload.spooled import Outbox
from pattoo_mp.wire.encode import encode
from tests.support.ports import at
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.ipc.messages import UploadState
    from pattoo_mp.spool.account import OutputState
    from pattoo_mp.spool.store import Spool
    from pattoo_mp.upload.delivery import Transport
    from pattoo_mp.upload.pattoo.legacy import LegacyPosts
    from tests.support.server import PattooServer

    Begin = Callable[..., "Posting"]

_MOMENT_S = 0.005
_EXCHANGE_S = 30.0


def begin_in(home: Path, server: PattooServer) -> Iterator[Begin]:
    """Yield a function that makes drains; all end with the test."""
    made: list[Posting] = []

    def begin(legacy: LegacyPosts | None = None, exchange_s: float = _EXCHANGE_S) -> Posting:
        made.append(Posting(home, server, legacy, exchange_s))
        return made[-1]

    yield begin
    for posting in made:
        posting.end()


def only(transport: Transport) -> Servers:
    """A set of servers with only this one."""
    return Servers([Server(transport, transport)])


def sender(servers: Servers, outbox: Outbox, legacy: LegacyPosts | None = None) -> Sender:
    """What posts to these servers as the agent does."""
    return Sender(servers, deliverer(outbox, encode, legacy), legacy)


class Reports:
    """The reports of a drain of `spool`, each with the output's account at that moment."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._reports: list[tuple[UploadState, OutputState]] = []

    def note(self, state: UploadState) -> None:
        """Take a report."""
        self._reports.append((state, self.spool.account(OUTPUT).copy()))

    @property
    def states(self) -> list[UploadState]:
        """The reported states."""
        return [state for state, _ in self._reports]

    @property
    def accounts(self) -> list[OutputState]:
        """The output's accounts at the times of the reports."""
        return [account for _, account in self._reports]


class Posting(Reports):
    """A drain, not started yet. Its delays are those of the agent, divided by a large number."""

    def __init__(
        self, home: Path, server: PattooServer, legacy: LegacyPosts | None, exchange_s: float
    ) -> None:
        self._path = home / "spool.sqlite"
        super().__init__(open_spool(self._path, AMPLE))
        self.drawn: list[float] = []
        self.drain = Drain(
            outbox := Outbox(self.spool, OUTPUT),
            sender(only(PattooTransport(at(server.port), exchange_s=exchange_s)), outbox, legacy),
            self.note,
            backoff=Backoff(self._draw),
            pace=Pace(spacing_s=_MOMENT_S, least_s=_MOMENT_S),
        )
        self._thread = threading.Thread(target=self.drain.run, daemon=True)

    def start(self) -> None:
        """Start posting."""
        self._thread.start()

    def end(self) -> None:
        """End it, and close the spool."""
        self.drain.stop()
        if self._thread.ident is not None:
            self._thread.join(20)
            assert not self._thread.is_alive()
        self.spool.close()

    def wait_until_empty(self) -> None:
        """Wait until the last poll has left, delivered or not, and the account says so."""
        wait_for(lambda: self.accounts and self.accounts[-1].waiting == 0, 60, "an empty spool")

    def wait_for_error(self, part: str) -> None:
        """Wait for a failure whose error contains `part`."""
        wait_for(lambda: part in self.error, what=part)

    @property
    def error(self) -> str:
        """The last reported error."""
        return self.states[-1].last_error if self.states else ""

    def quarantine(self) -> list[tuple[int, str]]:
        """The polls in quarantine, by time, with the reasons."""
        with contextlib.closing(sqlite3.connect(self._path)) as file:
            return file.execute("SELECT timestamp_ms, reason FROM quarantine").fetchall()

    def _draw(self, _low: float, high: float) -> float:
        self.drawn.append(high)
        return _MOMENT_S

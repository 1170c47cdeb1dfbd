"""The uploader process, between a link and a server."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.ipc.link import Link, LinkClosedError
from pattoo_mp.ipc.messages import COLLECTOR_STOP_S, Kind, UploadState
from pattoo_mp.spool import store
from pattoo_mp.spool.store import Spool
from pattoo_mp.upload import uploader as uploading
from pattoo_mp.upload.pattoo.servers import servers
from pattoo_mp.upload.uploader import Uploader
from tests.spool.polls import LAYOUT, LAYOUTS, OTHER, poll, times
from tests.support.configs import config_in
from tests.support.server import answering, hanging, well
from tests.support.small import files_of_at_most
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.waiting import wait_for
from tests.upload.posting import sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.config.values import Config
    from pattoo_mp.ipc.link import Message
    from pattoo_mp.model import Layout
    from tests.support.server import PattooServer

    Start = Callable[[int], "Process"]


class Process:
    """An uploader in another process; the test is its control."""

    def __init__(self, home: Path, port: int, **settings: Any) -> None:  # noqa: ANN401 - what `config_in` takes
        self.path = home / "spool.sqlite"
        self.link, theirs = Link.pair()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(theirs, config_in(home, **{"ip_bind_port": port, **settings}))
        theirs.close()
        self._heard: list[Message] = []
        self.status: int | None = None

    def _be(self, link: Link, config: Config) -> None:
        status = 1
        try:
            self.link.close()
            agent_id = "f" * 64
            Uploader(
                link,
                config,
                open_spool(self.path, AMPLE),
                "channel",
                agent_id,
                sender=lambda config, output, outbox: sender(
                    servers(config, output, agent_id), outbox
                ),
            ).run()
            status = 0
        finally:
            os._exit(status)

    def give(self, number: int, layout: Layout = LAYOUT) -> None:
        """Send it a poll with its layout."""
        self.link.send(Kind.LAYOUT, layout.identifier, layout.packed)
        one = poll(number, layout)
        self.link.send(Kind.POLL, number, one.layout_id, one.timestamp_ms, one.packed)

    def wait_to_hear(self, *expected: object) -> None:
        """Wait until it has sent this message."""
        wait_for(lambda: list(expected) in self._listen(), what=f"{expected}")

    def wait_for_deliveries(self, count: int) -> None:
        """Wait until it reports so many delivered polls."""

        def counted() -> bool:
            accounts = [message[3] for message in self._listen() if message[0] == Kind.UPLOAD]
            return any(account["outputs"][OUTPUT]["delivered"] == count for account in accounts)

        wait_for(counted, what=f"{count} deliveries")

    def has_noted(self, what: str) -> bool:
        """Whether it has reported this trouble."""
        return any(what in message[1] for message in self._listen() if message[0] == Kind.NOTE)

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """The spool's accounts that it has reported so far, in order."""
        return [message[3] for message in self._listen() if message[0] == Kind.UPLOAD]

    @property
    def states(self) -> list[UploadState]:
        """The states of posting that it has reported so far, in order."""
        return [UploadState(*m[2]) for m in self._listen() if m[0] == Kind.UPLOAD]

    def _listen(self) -> list[Message]:
        if select.select([self.link], [], [], 0)[0]:
            self._heard += self.link.receive()
        return self._heard

    def end(self) -> int:
        """Wait for its end. Return its exit status."""
        if self.status is None:
            wait_for(self._ended, what="the end of the uploader")
        assert self.status is not None
        return self.status

    def _ended(self) -> bool:
        if select.select([self.link], [], [], 0)[0]:
            try:
                self._heard += self.link.receive()
            except LinkClosedError:
                _, status = os.waitpid(self.pid, 0)
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def kept(self) -> list[int]:
        """The times of the polls in the spool, once the process has ended."""
        spool = open_spool(self.path, AMPLE)
        try:
            return times(spool)
        finally:
            spool.close()


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts uploaders, and ends them after the test."""
    made: list[Process] = []

    def begin(port: int) -> Process:
        made.append(Process(home, port))
        return made[-1]

    yield begin
    for process in made:
        if process.status is None:
            os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)


#: A port on which nothing listens.
NOWHERE = 1


def test_polls_are_committed_acknowledged_and_posted(start: Start, server: PattooServer) -> None:
    """KEPT names the last safe poll, and all arrive at the server in order."""
    uploader = start(server.port)
    for number in range(1, 6):
        uploader.give(number)
    uploader.wait_to_hear(Kind.KEPT, 5)
    uploader.wait_for_deliveries(5)
    assert server.timestamps() == [1, 2, 3, 4, 5]
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert uploader.kept() == []


def test_polls_stay_in_the_spool_while_no_server_is_there(start: Start) -> None:
    """They are acknowledged to control anyway, and the next uploader has them."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.give(2)
    uploader.wait_to_hear(Kind.KEPT, 2)
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert uploader.kept() == [1, 2]


def test_polls_before_the_close_are_committed(start: Start) -> None:
    """CLOSE comes after all polls."""
    uploader = start(NOWHERE)
    for number in range(1, 51):
        uploader.give(number)
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert uploader.kept() == list(range(1, 51))


def test_a_full_disk_is_reported_for_commits_and_for_posts(
    start: Start, server: PattooServer
) -> None:
    """Separately, and neither ends the other's trouble."""
    server.behaviour = answering(503)
    uploader = start(server.port)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    unlimited = resource.prlimit(uploader.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(uploader.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    uploader.give(2)
    uploader.wait_to_hear(Kind.NOTE, {
        "spool": "disk I/O error", "posts": "the spool: disk I/O error",
    })  # fmt: skip
    server.behaviour = well
    wait_for(lambda: server.timestamps() == [1], what="the poll that is in the spool")
    resource.prlimit(uploader.pid, resource.RLIMIT_FSIZE, unlimited)
    uploader.wait_to_hear(Kind.KEPT, 2)
    uploader.wait_for_deliveries(2)
    uploader.wait_to_hear(Kind.NOTE, {})
    assert server.timestamps() == [1, 2]


def test_a_spool_without_room_is_opened_later_and_its_account_comes_before_any_poll(
    home: Path, start: Start, server: PattooServer
) -> None:
    """Control sends no poll until then. Polls of an earlier agent are posted at once."""
    earlier = open_spool(home / "spool.sqlite", AMPLE)
    earlier.append([(n, poll(n)) for n in (1, 2, 3)], LAYOUTS, "another", "a book")
    earlier.close()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with files_of_at_most(0):
        uploader = start(server.port)
    uploader.wait_to_hear(Kind.NOTE, {"spool": "disk I/O error"})
    assert [message for message in uploader._listen() if message[0] == Kind.UPLOAD] == []
    assert server.timestamps() == []
    resource.prlimit(uploader.pid, resource.RLIMIT_FSIZE, unlimited)
    uploader.wait_to_hear(Kind.NOTE, {})
    account = next(message[3] for message in uploader._listen() if message[0] == Kind.UPLOAD)
    found = [account[name] for name in ("kept", "newest_ms", "book", "sequence")]
    assert found == [3, 3, "a book", 0]
    assert account["outputs"][OUTPUT]["waiting"] == 3
    uploader.wait_for_deliveries(3)
    assert server.timestamps() == [1, 2, 3]


def test_a_report_larger_than_a_sockets_buffer_is_sent_completely(
    start: Start, server: PattooServer
) -> None:
    """Also that of the posting thread, while the other one has nothing to do."""
    uploader = start(server.port)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "x" * 2_000_000)
    uploader.give(1)
    while uploader.link.unsent_bytes:
        select.select([], [uploader.link], [])
        uploader.link.flush()
    uploader.wait_for_deliveries(1)


def test_a_snapshot_of_the_ledger_is_stored_with_the_poll_after_it(start: Start) -> None:
    """Not with those before it: a kill may come between two messages."""
    uploader = start(9)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "as of 1")
    uploader.give(1)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "as of 2")
    uploader.wait_to_hear(Kind.KEPT, 1)
    uploader.link.close()
    os.waitpid(uploader.pid, 0)
    uploader.status = 0
    spool = open_spool(uploader.path, AMPLE)
    assert spool.state.book == "as of 1"
    spool.close()


def test_the_last_snapshot_of_the_ledger_is_stored_without_a_poll(start: Start) -> None:
    """A stop counts ticks that were missed after the last poll; the next agent must not count them."""
    uploader = start(9)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "as of 1")
    uploader.give(1)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "at the end")
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    spool = open_spool(uploader.path, AMPLE)
    assert spool.state.book == "at the end"
    spool.close()


def test_the_last_snapshot_of_the_ledger_may_come_late_in_a_stop(start: Start) -> None:
    """A collector that cannot be killed takes its time first, and a signal to the group reaches all at once."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    os.kill(uploader.pid, signal.SIGTERM)
    time.sleep(COLLECTOR_STOP_S)
    uploader.link.send(Kind.LEDGER_SNAPSHOT, "at the end")
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    with closing(open_spool(uploader.path, AMPLE)) as spool:
        assert spool.state.book == "at the end"


def test_a_reader_that_holds_the_journal_is_a_trouble(
    start: Start, server: PattooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it reads: the journal is larger than usual."""
    monkeypatch.setattr(store, "JOURNAL_BYTES", 50_000)
    uploader = start(server.port)
    uploader.give(1)
    uploader.wait_for_deliveries(1)
    with closing(sqlite3.connect(uploader.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM polls").fetchone()
        number = 1
        while not uploader.has_noted("journal"):
            number += 1
            uploader.give(number)
            uploader.wait_to_hear(Kind.KEPT, number)


def test_a_recovery_of_the_spool_is_not_a_hanging_post(
    start: Start, server: PattooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take longer than any other step of the posting thread."""
    monkeypatch.setattr(uploading, "_POSTING_S", 0.0)
    monkeypatch.setattr(Spool, "progressed_at", property(lambda _: time.monotonic() + 1))
    answers = threading.Event()
    server.behaviour = hanging(answers)
    uploader = start(server.port)
    for number in (1, 2, 3):
        uploader.give(number)
        uploader.wait_to_hear(Kind.KEPT, number)
    answers.set()


def test_an_uploader_without_control_commits_what_it_holds(start: Start) -> None:
    """If control is killed, the link ends, and so does the uploader, without losing anything."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    uploader.give(2)
    assert uploader.link.unsent_bytes == 0
    uploader.link._socket.shutdown(
        socket.SHUT_WR
    )  # like the end of a process, but we can still read
    assert uploader.end() == 0
    assert uploader.kept() == [1, 2]


def test_an_uploader_with_a_signal_to_end_asks_for_permission(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends LEAVING after SIGTERM, and commits what arrives until it may go."""
    monkeypatch.setattr(uploading, "_CLOSE_S", 60)  # this test may be delayed, too
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    os.kill(uploader.pid, signal.SIGTERM)
    uploader.wait_to_hear(Kind.LEAVING)
    uploader.give(2)
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert uploader.kept() == [1, 2]


def test_an_uploader_without_permission_ends_anyway(start: Start) -> None:
    """A control process that does not answer cannot hold it forever."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    os.kill(uploader.pid, signal.SIGTERM)
    assert uploader.end() == 0
    assert uploader.kept() == [1]


def test_a_layout_that_returns_is_stored_again(start: Start, server: PattooServer) -> None:
    """For example when a disk returns after all polls with it were delivered."""
    uploader = start(server.port)
    for number, layout in enumerate((LAYOUT, OTHER, LAYOUT), 1):
        uploader.give(number, layout)
        uploader.wait_for_deliveries(number)
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert server.timestamps() == [1, 2, 3]


def test_a_layout_received_just_before_a_commit_is_kept_for_its_polls(start: Start) -> None:
    """Control sends it in a message before its first poll, and only once."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    for number, layout in enumerate((LAYOUT, OTHER, OTHER), 2):
        one = poll(number, layout)
        uploader.link.send(Kind.POLL, number, one.layout_id, one.timestamp_ms, one.packed)
        if number == 2:
            uploader.link.send(Kind.LAYOUT, OTHER.identifier, OTHER.packed)
        uploader.wait_to_hear(Kind.KEPT, number)


def test_an_unknown_message_does_no_harm(start: Start) -> None:
    """It is skipped, and the next one is handled."""
    uploader = start(NOWHERE)
    uploader.link.send("nonsense", 1)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)


def test_a_new_server_gets_waiting_and_new_polls(
    home: Path, start: Start, elsewhere: PattooServer
) -> None:
    """However long the back-off for the first server would have been."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    uploader.link.send(Kind.SETTINGS, 7, config_in(home, ip_bind_port=elsewhere.port).fields())
    uploader.wait_to_hear(Kind.APPLIED, 7)
    uploader.give(2)
    wait_for(lambda: elsewhere.timestamps() == [1, 2], what="both polls")
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0


def test_new_limits_of_the_spool_apply_from_the_next_poll_on(home: Path, start: Start) -> None:
    """At a second instead of a week, polls of 1 ms and 2 ms are too old at 2,000 ms."""
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.give(2)
    uploader.wait_to_hear(Kind.KEPT, 2)
    uploader.link.send(
        Kind.SETTINGS, 1, config_in(home, ip_bind_port=NOWHERE, spool_max_age=1).fields()
    )
    uploader.give(2000)
    uploader.link.send(Kind.CLOSE)
    assert uploader.end() == 0
    assert uploader.kept() == [2000]


def test_no_account_is_reported_before_the_spool_was_opened(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full at the start. Control would take an empty account for that of a new spool."""
    monkeypatch.setattr(Spool, "account_loaded", property(lambda _: False))
    uploader = start(NOWHERE)
    uploader.give(1)
    uploader.wait_to_hear(Kind.KEPT, 1)
    uploader.give(2)
    uploader.wait_to_hear(Kind.KEPT, 2)
    assert uploader.accounts == []

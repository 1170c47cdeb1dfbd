"""The HTTP server with real sockets: what clients may hold, and what they may not."""

from __future__ import annotations

import contextlib
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.upload.pull import clients
from pattoo_mp.upload.pull import server as module
from pattoo_mp.upload.pull.clients import Bucket, network_of
from pattoo_mp.upload.pull.http import Answer
from pattoo_mp.upload.pull.server import CONNECTIONS, FROM_ONE, Connection, Server
from tests.support.pulling import ask
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.upload.pull.http import Request

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = b"x" * 20_000_000


class Running:
    """A server in a thread. `/later` is answered once `release` is called, `/large` with 20 MB."""

    def __init__(self, host: str = "127.0.0.1", *refused: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, 0), family=family, backlog=128)
        self.port: int = listening.getsockname()[1]
        self.waiting: list[Connection] = []
        self.server = Server(listening, self._handle, lambda address: address not in refused)
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def _handle(self, request: Request, connection: Connection) -> Answer | None:
        if request.path == "/later":
            self.waiting.append(connection)
            return None
        return Answer(HTTPStatus.OK, LARGE if request.path == "/large" else b"here", "text/plain")

    def release(self) -> None:
        """Answer those who wait."""
        for connection in self.waiting:
            self.server.complete(connection, Answer(HTTPStatus.OK, b"now"))

    def close(self) -> None:
        """End it."""
        self.server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Return a new connection to it, from this address."""
        return socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))


@pytest.fixture
def running() -> Iterator[Running]:
    """A server that runs."""
    made = Running()
    yield made
    made.close()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other end closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


def test_requests_of_one_connection_are_answered_in_order(running: Running) -> None:
    """Also if they come at once, and one of them takes time."""
    with running.connect() as connection:
        later = REQUEST.replace(b"/x", b"/later")
        connection.sendall(REQUEST + later + REQUEST.replace(b"Host", b"Connection: close\r\nHost"))
        wait_for(lambda: running.waiting, what="the request that takes time")
        assert ask(running.port, "/x").body == b"here"  # others are not held up
        running.release()
        answers = read_all(connection)
    assert [part for part in (b"here", b"now") for _ in range(answers.count(part))] == [
        b"here", b"here", b"now",
    ]  # fmt: skip
    assert answers.index(b"here") < answers.index(b"now") < answers.rindex(b"here")


def test_a_client_that_takes_nothing_holds_up_nobody(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection ends after a while."""
    monkeypatch.setattr(module, "_STALLED_S", 0.5)
    with running.connect() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.sendall(REQUEST.replace(b"/x", b"/large"))
        assert ask(running.port, "/x").body == b"here"
        wait_for(lambda: not running.server._connections, what="the end of the connection")
        assert running.server.sent_bytes < len(LARGE)


def test_a_large_answer_arrives_whole(running: Running) -> None:
    """At the pace of the client."""
    assert ask(running.port, "/large").body == LARGE


def test_a_request_that_drips_ends_in_time(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a 408: each byte gives no more time."""
    monkeypatch.setattr(module, "REQUEST_S", 0.3)
    with running.connect() as connection:
        found = b""
        connection.settimeout(0.02)
        for byte in REQUEST * 20:
            with contextlib.suppress(TimeoutError):
                try:
                    connection.sendall(bytes([byte]).replace(b"\n", b"x"))
                    found += connection.recv(4096)
                except (BrokenPipeError, ConnectionResetError):
                    break
            if found:
                break
        assert found.startswith(b"HTTP/1.1 408 ")


def test_a_flood_of_connections_leaves_room_for_others(running: Running) -> None:
    """Idle ones are closed for new ones, and memory and descriptors stay bounded."""
    with contextlib.ExitStack() as held:
        for _ in range(3 * CONNECTIONS):
            held.enter_context(running.connect())
        assert ask(running.port, "/x").body == b"here"
        assert len(running.server._connections) <= FROM_ONE


def test_busy_connections_of_a_client_are_bounded(running: Running) -> None:
    """Beyond the limit it gets a 503; what it has goes on."""
    with contextlib.ExitStack() as held:
        busy = [held.enter_context(running.connect()) for _ in range(FROM_ONE)]
        for connection in busy:
            connection.sendall(REQUEST.replace(b"/x", b"/later"))
        wait_for(lambda: len(running.waiting) == FROM_ONE, what="all requests")
        with running.connect() as one_more:
            assert read_all(one_more).startswith(b"HTTP/1.1 503 ")
        running.release()
        assert all(b"now" in connection.recv(4096) for connection in busy)


def test_a_few_slow_clients_do_not_keep_out_another(running: Running) -> None:
    """Though they have all connections, and none of these is idle."""
    with contextlib.ExitStack() as held:
        for number in range(CONNECTIONS):
            slow = held.enter_context(running.connect(f"127.0.0.{2 + number // FROM_ONE}"))
            slow.sendall(REQUEST[:10])
        wait_for(
            lambda: sum(bool(each.received) for each in running.server._connections) == CONNECTIONS,
            what="all of them",
        )
        assert ask(running.port, "/x").body == b"here"
        wait_for(
            lambda: len(running.server._connections) < CONNECTIONS,
            what="the end of the answered one",
        )


def test_answers_that_nobody_takes_hold_little_memory(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may be as large as it is; then there is a 503 until it is taken or given up."""
    monkeypatch.setattr(module, "HELD_BYTES", 5_000_000)
    with running.connect() as greedy:
        greedy.sendall(REQUEST.replace(b"/x", b"/large"))
        wait_for(lambda: running.server.requests, what="the first answer")
        assert ask(running.port, "/large").status == 503
        assert ask(running.port, "/large", "HEAD").status == 200
    wait_for(lambda: not running.server._connections, what="the end of the connection")
    assert ask(running.port, "/large").body == LARGE


def test_requests_come_at_a_bounded_rate(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is a 429, with when to come again."""
    monkeypatch.setattr(clients, "BURST", 5)
    monkeypatch.setattr(clients, "RATE", 0.001)
    answers = [ask(running.port, "/x") for _ in range(8)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


def test_a_bucket_fills_with_time() -> None:
    """Up to what may come at once."""
    bucket = Bucket(at=100.0)
    assert sum(bucket.take(100.0) for _ in range(1000)) == clients.BURST
    assert sum(bucket.take(101.0) for _ in range(1000)) == clients.RATE
    assert sum(bucket.take(999.0) for _ in range(1000)) == clients.BURST


def test_what_is_no_http_gets_a_400_and_the_end(running: Running) -> None:
    """And the server goes on."""
    with running.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    assert ask(running.port, "/x").status == 200


def test_who_sends_on_after_the_end_has_a_turn_at_a_time(running: Running) -> None:
    """However much has come: others have their turns between."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(b"x" * 150_000)
        connection = Connection(ours, "127.0.0.1", "127.0.0.1", 0, ending=True)
        running.server._connections[connection] = None
        assert running.server._step(connection) is False
        assert ours.recv(1)  # the rest is for a later turn
        del running.server._connections[connection]


def test_an_address_that_may_not_ask_gets_a_403() -> None:
    """At once, whatever it asks."""
    made = Running("127.0.0.1", "127.0.0.1")
    try:
        assert ask(made.port, "/x").status == 403
    finally:
        made.close()


def test_clients_of_one_network_are_one() -> None:
    """Of IPv6, where a host may take any of its addresses."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("10.0.0.1") != network_of("10.0.0.2")

"""Anything in place of HTTP, for the server of an output of kind pull."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.pull import clients
from pattoo_mp.upload.pull.http import (
    BODY_BYTES,
    HEAD_BYTES,
    Answer,
    RefusedError,
    Request,
    take,
)
from pattoo_mp.upload.pull.server import CONNECTIONS, Server
from tests.fuzz.drawing import EXAMPLES, bounded, fuzz, mutated
from tests.support.pulling import ask
from tests.support.usage import memory_kb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.upload.pull.server import Connection

_REQUESTS: Final = (
    b"GET /metrics HTTP/1.1\r\nHost: spoke:5000\r\nAccept: text/plain;q=0.5\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /pattoo-mp/1/polls?hub=a&max_bytes=10000&known=0011223344556677 HTTP/1.1\r\nHost: a\r\n\r\n",
    b'POST /pattoo-mp/1/polls/acknowledge HTTP/1.1\r\nHost: a\r\nContent-Length: 22\r\n\r\n{"hub":"a","up_to": 7}',
    b"HEAD http://spoke/pattoo-agent-os/300 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\n",
)
#: Connections at once, of which most do nothing: thousands in a long run.
_FLOOD: Final = 5000 if EXAMPLES else 300
_FLOOD_KB: Final = 20_000


@given(mutated(_REQUESTS), st.lists(st.integers(1, 300), max_size=5))
@fuzz
def test_bytes_become_requests_or_are_refused(content: bytes, cuts: list[int]) -> None:
    """However they are cut, with the same result, and with little in memory."""
    with bounded():
        assert _taken(content, []) == _taken(content, cuts)


def _taken(content: bytes, cuts: list[int]) -> list[Request | int]:
    """The requests in these bytes, which come in pieces, up to one that is refused."""
    buffer = bytearray()
    found: list[Request | int] = []
    ends = [*cuts, len(content)]
    for size in ends:
        piece, content = content[:size], content[size:]
        # The server reads a little at a time, and takes what it can.
        for begin in range(0, len(piece), 4096):
            buffer += piece[begin : begin + 4096]
            try:
                while (request := take(buffer)) is not None:
                    found.append(request)
                    with contextlib.suppress(RefusedError):
                        request.parameters()
                    request.accepts("gzip")
            except RefusedError as refused:
                return [*found, int(refused.answer.status)]
            assert len(buffer) <= HEAD_BYTES + BODY_BYTES + 4096 + 4
    return found


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that answers everything."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    def handle(request: Request, _: Connection) -> Answer:
        return Answer(HTTPStatus.OK, request.path.encode(), "text/plain")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clients, "BURST", 1e9)
        patch.setattr(clients, "RATE", 1e9)
        server = Server(listening, handle, lambda _: True)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield int(listening.getsockname()[1])
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@given(mutated(_REQUESTS))
@fuzz
def test_the_server_answers_others_after_any_bytes(port: int, content: bytes) -> None:
    """And ends the connection of who sent them, if that was no HTTP."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        contextlib.suppress(BrokenPipeError, ConnectionResetError),
    ):
        connection.sendall(content[:200_000])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert ask(port, "/well").body == b"/well"


def test_a_flood_of_connections_takes_no_memory(port: int) -> None:
    """Idle ones, half a request, and requests whose answers nobody reads."""
    assert ask(port, "/before").status == 200
    before = memory_kb(os.getpid())
    held: list[socket.socket] = []
    try:
        for number in range(_FLOOD):
            connection = socket.create_connection(("127.0.0.1", port), 10)
            held.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall((b"", b"GET / HT", _REQUESTS[0] * 3)[number % 3])
            if len(held) > 2 * CONNECTIONS:
                held.pop(0).close()
            if not number % 100:
                assert ask(port, "/well").status in {200, 503}
        assert memory_kb(os.getpid()) - before < _FLOOD_KB
    finally:
        for connection in held:
            connection.close()
    assert ask(port, "/after").body == b"/after"

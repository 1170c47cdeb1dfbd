"""A server that answers with any bytes, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Answers a request on a connection.
    Talk = Callable[[socket.socket, bytes], None]

ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
_DEADLINE_S = 20.0


class RawServer:
    """Reads requests and lets `talk` answer each; keeps the requests."""

    def __init__(self, talk: Talk, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family)
        self._talk = talk
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._accepting.join(_DEADLINE_S)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := _read_request(connection):
                self.requests.append(request)
                self._talk(connection, request)


def _read_request(connection: socket.socket) -> bytes:
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(65536)
        if not piece:
            return b""
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    length = next((int(v) for k, v in _headers(head) if k == b"content-length"), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = (line.split(b":", 1) for line in head.split(b"\r\n")[1:])
    return [(name.lower(), value.strip()) for name, value in lines]


def headers(request: bytes) -> dict[bytes, bytes]:
    """The headers of a request, with names in lower case."""
    return dict(_headers(request.partition(b"\r\n\r\n")[0]))


def saying(answer: bytes, *, close: bool = True) -> Talk:
    """Answer each request with these bytes. With `close`, close the connection afterwards."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return talk


def answer(status: str, body: bytes = b"", *more: str) -> bytes:
    """A complete answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body

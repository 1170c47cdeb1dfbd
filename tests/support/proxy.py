"""A forward proxy: CONNECT, and requests with a whole URL, for who shows its credentials if it wants any."""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from email.message import Message
    from ssl import SSLContext


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listening

    def do_CONNECT(self) -> None:
        """Connect to where the client asks for, and carry bytes both ways."""
        if not self._may_pass():
            return
        host, _, port = self.path.rpartition(":")
        try:
            target = socket.create_connection((host, int(port)), 10)
        except OSError:
            self._answer(502)
            return
        with target:
            self.send_response(200)
            self.end_headers()
            _carry(self.connection, target)
        self.close_connection = True

    def do_POST(self) -> None:
        """Ask the server that the URL names, and pass its answer on."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._may_pass():
            return
        url = urlsplit(self.path)
        try:
            target = http.client.HTTPConnection(url.netloc, timeout=10)
            target.request(self.command, url.path, body, dict(self.headers))
            answer = target.getresponse()
            content = answer.read()
        except OSError:
            self._answer(502)
            return
        self._answer(answer.status, content)
        target.close()

    do_GET = do_POST  # noqa: N815 - as http.server looks for it

    def _may_pass(self) -> bool:
        owner = self.server.owner
        owner.lines.append(self.requestline)
        owner.heads.append(self.headers)
        if owner.refuses:
            self._answer(owner.refuses)
        elif owner.wants and self.headers.get("Proxy-Authorization") != owner.wants:
            self._answer(407)
        else:
            return True
        return False

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    owner: ForwardProxy

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.owner.context is not None:
            connection = self.owner.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error here."""


class ForwardProxy:
    """Listens on a free port of 127.0.0.1. What it was asked stands in `lines` and `heads`.

    It wants the header `wants`, and answers `refuses`, a status, to everybody if that is set.
    """

    def __init__(self, wants: str = "", context: SSLContext | None = None) -> None:
        self.wants = wants
        self.context = context
        self.refuses = 0
        self.lines: list[str] = []
        self.heads: list[Message] = []
        self._listening = _Listening(("127.0.0.1", 0), _Handler)
        self._listening.owner = self
        self.port: int = self._listening.server_address[1]
        threading.Thread(target=self._listening.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._listening.shutdown()
        self._listening.server_close()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with contextlib.suppress(OSError), selectors.DefaultSelector() as either:
        either.register(one, selectors.EVENT_READ, other)
        either.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in either.select(10):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                piece = source.recv(65536)
                if not piece:
                    return
                key.data.sendall(piece)
                while _pending(source):
                    key.data.sendall(source.recv(65536))


def _pending(source: socket.socket) -> bool:
    """Whether TLS holds more that no selector sees."""
    held = getattr(source, "pending", None)
    return bool(held and held())

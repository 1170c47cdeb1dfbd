"""A forward proxy: CONNECT and requests with a whole URL, with or without credentials."""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.listening import Answering, Listening

if TYPE_CHECKING:
    from email.message import Message
    from ssl import SSLContext


class _Handler(Answering):
    server: _Proxy

    def do_CONNECT(self) -> None:  # noqa: N802 - as http.server looks for it
        """Connect to the address that the client names, and forward bytes both ways."""
        if not self._may_pass():
            return
        host, _, port = self.path.rpartition(":")
        try:
            target = socket.create_connection((host, int(port)), 10)
        except OSError:
            self.answer(502)
            return
        with target:
            self.send_response(200)
            self.end_headers()
            _forward(self.connection, target)
        self.close_connection = True

    def do_POST(self) -> None:  # noqa: N802 - as http.server looks for it
        """Send the request to the server in the URL, and forward its answer."""
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
            self.answer(502)
            return
        self.answer(answer.status, content)
        target.close()

    do_GET = do_POST  # noqa: N815 - as http.server looks for it

    def _may_pass(self) -> bool:
        owner = self.server.owner
        owner.lines.append(self.requestline)
        owner.heads.append(self.headers)
        if owner.refuses:
            self.answer(owner.refuses)
        elif owner.accepts and self.headers.get("Proxy-Authorization") != owner.accepts:
            self.answer(407)
        else:
            return True
        return False


class _Proxy(Listening):
    owner: ForwardProxy

    def tls(self) -> SSLContext | None:
        return self.owner.context


class ForwardProxy:
    """Listens on a free port of 127.0.0.1. `lines` and `heads` have all requests and their headers.

    If `accepts` is set, requests need this Proxy-Authorization. If `refuses` is set, every request gets
    this status.
    """

    def __init__(self, accepts: str = "", context: SSLContext | None = None) -> None:
        self.accepts = accepts
        self.context = context
        self.refuses = 0
        self.lines: list[str] = []
        self.heads: list[Message] = []
        self._listening = _Proxy(("127.0.0.1", 0), _Handler)
        self._listening.owner = self
        self.port: int = self._listening.server_address[1]
        threading.Thread(target=self._listening.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop the proxy."""
        self._listening.shutdown()
        self._listening.server_close()


def _forward(one: socket.socket, other: socket.socket) -> None:
    """Forward bytes both ways until one side closes."""
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
    """Return whether TLS has buffered data that no selector sees."""
    held = getattr(source, "pending", None)
    return bool(held and held())

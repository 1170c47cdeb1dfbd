"""What the tests' servers and proxies have in common: connections with TLS or without, and quick answers."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import SSLContext


class Answering(BaseHTTPRequestHandler):
    """Answers one request, and says nothing of it."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"") -> None:
        """Send a whole answer, and close, as a pattoo server does after each."""
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""


class Listening(ThreadingHTTPServer):
    """http.server on 127.0.0.1, whose owner may have it speak TLS."""

    daemon_threads = True

    def tls(self) -> SSLContext | None:
        """What the next connection speaks TLS with; none if it does not."""
        return None

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; the handshake is made by the thread that serves it."""
        connection, address = super().get_request()
        context = self.tls()
        if context is not None:
            connection = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what many tests are about."""

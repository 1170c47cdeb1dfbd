"""Base classes of the tests' servers and proxies: connections with or without TLS, and simple answers."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import SSLContext


class Answering(BaseHTTPRequestHandler):
    """Answers one request, without a log."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"") -> None:
        """Send an answer and close the connection, as a pattoo server does."""
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Write no log."""


class Listening(ThreadingHTTPServer):
    """An HTTP server on 127.0.0.1, with or without TLS."""

    daemon_threads = True

    def tls(self) -> SSLContext | None:
        """The TLS context of the next connection; None for plain HTTP."""
        return None

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. The thread that serves it does the TLS handshake."""
        connection, address = super().get_request()
        context = self.tls()
        if context is not None:
            connection = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors: in many tests clients disconnect in the middle of a request."""

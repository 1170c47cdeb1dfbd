"""A server between an agent and a receiver of remote write: it counts, swallows and changes answers."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.support.ports import at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Reply:
    """An answer. Status 0: the connection is closed without any."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Between:
    """Forwards each request to `receiver_port`; without one, it takes all.

    `before` may answer in place of the receiver; `after` may replace its answer.
    """

    def __init__(self, receiver_port: int = 0) -> None:
        self.receiver_port = receiver_port
        self.before: Callable[[bytes], Reply | None] = lambda _: None
        self.after: Callable[[bytes, Reply], Reply] = lambda _, reply: reply
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"{at(self._server.server_address[1])}/api/v1/write"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def reply(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Return the answer to a request."""
        self.bodies.append(body)
        self.headers.append(headers)
        return self.before(body) or self.after(body, self._receive(path, body, headers))

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _receive(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        return (
            forward(self.receiver_port, path, body, headers) if self.receiver_port else Reply(204)
        )


def forward(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Send a request to the receiver on a port, and return its answer; 502 if it is away."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return Reply(answer.status, answer.read())
    except OSError:
        return Reply(502, b"the receiver is away")
    finally:
        connection.close()


def _handler(owner: Between) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = owner.reply(self.path, body, dict(self.headers.items()))
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler

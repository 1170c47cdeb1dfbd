"""A server that takes all posts, and counts the values in collectd's JSON."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Sink:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        self.posts = 0
        self._values: dict[float, int] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sink.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, rows: list[dict[str, Any]]) -> None:
        """Count the values of a post."""
        self.posts += 1
        now = time.monotonic()
        self._values[now] = sum(len(row["values"]) for row in rows)

    def values_each(self, interval_s: float) -> int:
        """Return how many values came in an interval on average, from the first post to the last."""
        moments = sorted(self._values)
        if len(moments) < 2:
            return 0
        later = sum(self._values[moment] for moment in moments[1:])
        return round(later * interval_s / (moments[-1] - moments[0]))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

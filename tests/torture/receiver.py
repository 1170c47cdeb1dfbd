"""A real Prometheus behind a server that misbehaves: what it has is read from Prometheus."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import snappy

from tests.support.between import forward
from tests.support.prometheus import prometheus
from tests.support.remote_write import fields
from tests.torture.server import FaultyHandler, FaultyServer, well

if TYPE_CHECKING:
    from tests.support.between import Reply

#: A series with a sample in each poll.
INFO: Final = "pattoo_host_info"
#: The agent's clock may be so far ahead (s).
_AHEAD_S: Final = 3600.0


class ReceiverHandler(FaultyHandler):
    """Answers one remote write request, with the answer of Prometheus or by the mode."""

    owner: FaultyReceiver

    def respond(self) -> None:
        """Answer by the mode. A request without any series is what the status page is to pattoo."""
        self.message = bytes(snappy.uncompress(self.body)) if len(self.body) > 1 else b""
        (self.owner.mode if self.is_post else self.owner.page_mode or well)(self)

    @property
    def is_post(self) -> bool:
        """Whether the request has series."""
        return bool(self.message)

    def take(self) -> None:
        """Give the request to Prometheus, and record it if that stores it."""
        if not self.is_post:
            return
        reply = forward(self.owner.store.port, self.path, self.body, dict(self.headers.items()))
        self.taken_answer = _as_bytes(reply)
        if 200 <= reply.status < 300:
            self.record(None, dict.fromkeys(_times(self.message), ""))


class FaultyReceiver(FaultyServer):
    """Gives what it takes to a Prometheus without a window for samples that are out of order."""

    handler = ReceiverHandler

    def __init__(self) -> None:
        self._running = ExitStack()
        directory = self._running.enter_context(TemporaryDirectory(prefix="pmp-torture-store-"))
        self.store = self._running.enter_context(prometheus(Path(directory)))
        self._stored: set[int] | None = None
        super().__init__()

    @property
    def setting(self) -> str:
        """What the entry of an output says of its server."""
        return f"kind: remote_write, url: 'http://127.0.0.1:{self.port}/api/v1/write'"

    def stored(self) -> set[int]:
        """Return the timestamps of the polls that Prometheus has."""
        if self._stored is not None:
            return self._stored
        found = self.store.query(f"{INFO}[1d]", time=f"{time.time() + _AHEAD_S:.3f}")
        return {round(float(time_s) * 1000) for series in found for time_s, _ in series["values"]}

    def close(self) -> None:
        """Stop, and keep what Prometheus had."""
        super().close()
        self._stored = self.stored()
        self._running.close()


def _times(message: bytes) -> list[int]:
    """Return the times of the polls in a message."""
    return [
        dict(fields(sample))[2]
        for part, series in fields(message)
        if part == 1 and INFO.encode() in series
        for number, sample in fields(series)
        if number == 2
    ]


def _as_bytes(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} So it is", "Connection: close"]
    if reply.status != 204:
        lines.append(f"Content-Length: {len(reply.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + reply.body

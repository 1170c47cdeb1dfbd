"""Waitress, with limits on what clients can hold: connections, memory, and time.

Waitress itself closes a connection only if nothing arrives on it for a while, so a client that sends a byte
now and then keeps it for ever. It writes large bodies to files in the temporary directory, and accepts
nobody else at its limit of connections. Here

- a request must arrive whole within a time limit, and the next one of the connection begin within the same time;
- bodies stay in memory, all together within a limit, and what is too long is read, but not kept;
- where connections or memory run out, the connection is closed that has been waiting for the rest of its
  request for longest. A working client sends its post at once, so this is never its own.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_log: Final = logging.getLogger(__name__)

#: Many times what the agents of a first run need, and few enough for the usual limit of 1,024 descriptors.
CONNECTIONS: Final = 500
#: Of all bodies that have not been stored yet: some large ones, or a hundred usual ones.
HELD_BYTES: Final = 64_000_000
#: A body up to so much too long is read to its end, so that its sender receives the 413; if the connection
#: were closed at once, it would receive a reset instead.
_READ_BEYOND_BYTES: Final = 64 * 2**20
#: How often (s) time limits are checked, and closed connections are logged.
_CHECK_S: Final = 1.0
#: Never reached: each accepted connection above `CONNECTIONS` closes another one.
_SPARE: Final = 20

#: One thread reads all bodies as they arrive, so a slow client does not delay others; the `threads`
#: decode and store.
_WAITRESS: Final[dict[str, Any]] = {
    "threads": 4,
    "connection_limit": CONNECTIONS + _SPARE,
    "asyncore_use_poll": True,
    "recv_bytes": 65_536,
    "log_socket_errors": False,
    # A proxy on this host says who its client is, and whether it came by TLS. Without it, waitress removes both.
    "trusted_proxy": "127.0.0.1",
    "trusted_proxy_count": 1,
    "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
    "clear_untrusted_proxy_headers": True,
}


def make_server(
    app: Callable[..., Any], listening: socket.socket, body_bytes: int, request_s: float, ident: str
) -> Server:
    """Return a server of `app` on `listening`; `run` serves until SystemExit.

    Of a body, at most a byte more than `body_bytes` reaches `app`. A request may take `request_s` to arrive.
    """
    return Server(
        app,
        _sock=listening,
        bind_socket=False,
        sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        adj=Adjustments(
            sockets=[listening],
            max_request_body_size=body_bytes + _READ_BEYOND_BYTES,
            inbuf_overflow=body_bytes + 1,
            channel_timeout=request_s,
            ident=ident,
            **_WAITRESS,
        ),
    )


class _Body(OverflowableBuffer):  # type: ignore[misc] # waitress has no types
    """A body in memory, of which at most `limit` bytes are kept."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit + 1)  # from there on it would write a file
        self._limit = limit

    def append(self, data: bytes) -> None:
        """Add what there is room for."""
        kept = data[: max(0, self._limit - len(self))]
        if kept:
            super().append(kept)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and prepare for the body."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = _Body(self.adj.inbuf_overflow)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection. `since` is when (monotonic) it began to wait for its request, or the rest of it."""

    parser_class = _Parser

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        self.since = time.monotonic()
        #: Whether its last request has arrived whole, and the next one has not begun.
        self._is_between = False
        super().__init__(*arguments, **options)

    @property
    def is_waiting(self) -> bool:
        """Whether it holds no whole request, and is not being closed."""
        return not self.requests and not self.will_close

    @property
    def held_bytes(self) -> int:
        """The size of the bodies, or of their beginning, that it holds."""
        requests = [*self.requests, self.request]
        return sum(len(r.body_rcv) for r in requests if r is not None and r.body_rcv is not None)

    def received(self, data: bytes) -> bool:
        """Take what has arrived."""
        # Only once for each request: blank lines, too, arrive here, and begin none.
        if self._is_between:
            self._is_between, self.since = False, time.monotonic()
        received: bool = super().received(data)
        if self.held_bytes > len(data):
            self.server.make_room()
        return received

    def service(self) -> None:
        """Handle a whole request, in a thread of its own."""
        self._is_between, self.since = True, time.monotonic()
        super().service()


class Server(TcpWSGIServer):  # type: ignore[misc]
    """The server. All but the handling of whole requests happens in the thread of `run`."""

    channel_class = _Channel

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        self._checked = time.monotonic()
        self._closed = 0
        super().__init__(*arguments, **options)

    def handle_accept(self) -> None:
        """Accept a connection."""
        super().handle_accept()
        if len(self.active_channels) > CONNECTIONS:
            self._close_oldest(self._waiting())

    def make_room(self) -> None:
        """Close connections until the bodies of all are within the limit."""
        excess = sum(channel.held_bytes for channel in self.active_channels.values()) - HELD_BYTES
        while excess > 0:
            holding = [channel for channel in self._waiting() if channel.held_bytes]
            if not holding:
                return
            excess -= self._close_oldest(holding)

    def readable(self) -> bool:
        """Whether it accepts connections. Called at least once a second."""
        now = time.monotonic()
        if not 0 <= now - self._checked < _CHECK_S:
            self._checked = now
            self._close_late(now)
        readable: bool = super().readable()
        return readable

    def maintenance(self, now: float) -> None:
        """Do nothing: waitress closes idle connections here, by the wall clock."""

    def _close_late(self, now: float) -> None:
        for channel in self._waiting():
            if now - channel.since > self.adj.channel_timeout:
                self._close(channel)
        if self._closed:
            _log.warning(
                "closed connections whose requests did not arrive whole in time, or to make room: %d",
                self._closed,
            )
            self._closed = 0

    def _waiting(self) -> list[_Channel]:
        return [channel for channel in self.active_channels.values() if channel.is_waiting]

    def _close_oldest(self, channels: list[_Channel]) -> int:
        """Close the channel that has waited for longest, and return how many bytes it held."""
        oldest = min(channels, key=lambda channel: channel.since, default=None)
        return 0 if oldest is None else self._close(oldest)

    def _close(self, channel: _Channel) -> int:
        held = channel.held_bytes
        # An idle connection is closed without a word.
        self._closed += channel.request is not None
        channel.will_close = True
        channel.handle_close()
        channel.request = None
        return held

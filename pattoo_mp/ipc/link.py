"""Messages between control and a worker, over one end of a Unix socket pair.

A link never blocks: what the other side has not read yet waits in a buffer. If a process is killed
while it sends, its incomplete message is discarded with the link. A process that dies breaks only its
own link; no lock is shared that it could leave locked.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgpack

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECEIVE_BYTES: Final = 1 << 16
#: Initial size of an unpacker's buffer, which grows to the size of a message. The default is 1 MB, and
#: in time the unpacker would write to all of it.
_BUFFER_BYTES: Final = 1 << 14
#: A layout of 10,000 series is about 2 MB; anything larger than this is not a message.
_MESSAGE_BYTES: Final = 1 << 26

Message = list[Any]


class LinkClosedError(Exception):
    """The process at the other end has exited."""


class Link:
    """One end of a connection. `send` may be called from any thread, the rest from one."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._unpacker = msgpack.Unpacker(read_size=_BUFFER_BYTES, max_buffer_size=_MESSAGE_BYTES)
        self._unsent = bytearray()
        #: Messages and bytes since the last `take_received`.
        self._messages = self._bytes = 0
        self._lock = Lock()
        self._is_held = False

    @classmethod
    def pair(cls) -> tuple[Link, Link]:
        """Return the two ends of a new connection."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._socket.fileno()

    @property
    def unsent_bytes(self) -> int:
        """Bytes in the buffer: the other side has not taken them yet."""
        return len(self._unsent)

    def send(self, *message: object) -> None:
        """Send a message, or as much of it as possible now; `flush` sends the rest.

        Raises `LinkClosedError` if the other end is closed.
        """
        with self._lock:
            self._unsent += msgpack.packb(message, unicode_errors="backslashreplace")
            if not self._is_held:
                self._push()

    @contextmanager
    def together(self) -> Iterator[Link]:
        """Send the messages of the block together at its end, so that the other side wakes up once.

        Raises as `send`.
        """
        self._is_held = True
        try:
            yield self
        finally:
            self._is_held = False
        self.flush()

    def flush(self) -> None:
        """Send as much of the buffer as the other side takes now."""
        with self._lock:
            self._push()

    def receive(self) -> list[Message]:
        """Return all complete messages that have arrived.

        Raises `LinkClosedError` once the other side has exited and every message was returned.
        """
        is_closed = self._read()
        messages = list(self._unpacker)
        self._messages += len(messages)
        if is_closed and not messages:
            raise LinkClosedError
        return messages

    def take_received(self) -> tuple[int, int]:
        """Return how many messages and bytes have arrived since the last call."""
        received = self._messages, self._bytes
        self._messages = self._bytes = 0
        return received

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _read(self) -> bool:
        """Read what has arrived. Return whether nothing more will."""
        while True:
            try:
                content = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if not content:
                return True
            self._unpacker.feed(content)
            self._bytes += len(content)
            if len(content) < _RECEIVE_BYTES:
                return False

    def _push(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                raise LinkClosedError from error
            del self._unsent[:sent]

"""Messages between control and a worker, over one end of a Unix socket pair.

A link never blocks: what the other side does not take yet waits here, and half a message of a
process that was killed is discarded with its link. A process that dies breaks its own link and
nothing else; there is no lock that it could take with it.
"""

from __future__ import annotations

import socket
from threading import Lock
from typing import Any, Final

import msgpack

_RECEIVE_BYTES: Final = 1 << 16
#: A buffer of an unpacker begins with this, and grows to what a message takes. By itself it would begin
#: with 1 MB, and write to all of it in turn.
_BUFFER_BYTES: Final = 1 << 14
#: A layout of 10,000 series is about 2 MB; anything larger than this is not a message.
_MESSAGE_BYTES: Final = 1 << 26

Message = list[Any]


class LinkClosedError(Exception):
    """The process at the other end is gone."""


class Link:
    """One end of a conversation. `send` may be called from any thread, the rest from one."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._unpacker = msgpack.Unpacker(read_size=_BUFFER_BYTES, max_buffer_size=_MESSAGE_BYTES)
        self._unsent = bytearray()
        self._lock = Lock()

    @classmethod
    def pair(cls) -> tuple[Link, Link]:
        """Two ends that talk to each other."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""
        return self._socket.fileno()

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the other side to read."""
        return len(self._unsent)

    def send(self, *message: object) -> None:
        """Send a message, or as much of it as goes now; `flush` sends the rest.

        Raises `LinkClosedError` if nobody is there.
        """
        with self._lock:
            self._unsent += msgpack.packb(message, unicode_errors="backslashreplace")
            self._push()

    def flush(self) -> None:
        """Send what waits, as far as the other side takes it."""
        with self._lock:
            self._push()

    def receive(self) -> list[Message]:
        """All whole messages that are there now.

        Raises `LinkClosedError` once the other side is gone and every message was given out.
        """
        while True:
            try:
                content = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return list(self._unpacker)
            except OSError:
                content = b""
            if content:
                self._unpacker.feed(content)
                if len(content) < _RECEIVE_BYTES:
                    return list(self._unpacker)
                continue
            messages = list(self._unpacker)
            if messages:
                return messages
            raise LinkClosedError

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def _push(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                raise LinkClosedError from error
            del self._unsent[:sent]

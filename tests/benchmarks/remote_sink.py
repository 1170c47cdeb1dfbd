"""A receiver of remote write that counts bytes and samples, and can hang."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import snappy

from tests.support.remote_write import decoded

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """A request: when it had arrived (s since the epoch), its size in bytes with the head, its body."""

    arrived: float
    size: int
    body: bytes

    @property
    def times_ms(self) -> list[int]:
        """The time of each sample."""
        message = bytes(snappy.uncompress(self.body))
        return [time_ms for samples in decoded(message).values() for time_ms, _ in samples]


class RemoteSink:
    """Listens on a free port of 127.0.0.1 until it is closed. With `hangs`, it never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._hangs = hangs
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it takes remote write."""
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        read = b""
        with connection, suppress(OSError):
            while part := connection.recv(1 << 16):
                read += part
                head = read.find(b"\r\n\r\n")
                if head < 0 or self._hangs:
                    continue
                found = _LENGTH.search(read, 0, head)
                whole = head + 4 + (int(found[1]) if found else 0)
                if len(read) >= whole:
                    self.requests.append(Request(time.time(), whole, read[head + 4 : whole]))
                    read = read[whole:]
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

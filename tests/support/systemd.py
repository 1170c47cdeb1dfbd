"""A fake systemd: a socket that records the notifications of a service."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Systemd:
    """Listens at `address`: a path, or a name in the abstract namespace after an `@`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def __enter__(self) -> Systemd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def listen(self, seconds: float = 0.0) -> list[dict[str, str]]:
        """Return all notifications so far, a mapping for each datagram; wait up to `seconds` for more."""
        while select.select([self._socket], [], [], seconds)[0]:
            words = self._socket.recv(1 << 16).decode()
            self.heard.append(dict(line.split("=", 1) for line in words.splitlines()))
            seconds = 0.0
        return self.heard

    def told(self, name: str) -> list[str]:
        """Return all values of a variable so far."""
        return [datagram[name] for datagram in self.listen() if name in datagram]

"""Free ports, and the URLs of servers on them."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HELD: Final[list[socket.socket]] = []


def hold_port() -> socket.socket:
    """Reserve a port: the kernel gives it to no other program while this socket is open.

    Connections are refused. A server that is given the number can still listen on it, with
    SO_REUSEADDR (socket(7)).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def number_of(held: socket.socket) -> int:
    """Return the port of a socket."""
    port: int = held.getsockname()[1]
    return port


def free_port() -> int:
    """Return an unused port that no other test gets; tests run in parallel."""
    _HELD.append(hold_port())
    return number_of(_HELD[-1])


@contextmanager
def dropping_port() -> Iterator[int]:
    """A port that does not answer connections, as behind a firewall that drops packets: its queue is full."""
    with ExitStack() as held:
        full = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield number_of(full)


def at(port: int) -> str:
    """Return the URL of a server on this port of 127.0.0.1."""
    return f"http://127.0.0.1:{port}"

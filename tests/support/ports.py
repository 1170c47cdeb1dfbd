"""Ports for programs that must be told one, and the URLs of programs that have one."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HELD: Final[list[socket.socket]] = []


def hold_port() -> socket.socket:
    """A port that the kernel gives to nobody else as long as this socket is open.

    Who connects is refused; and who is told its number can listen there, as servers ask for it
    (SO_REUSEADDR, socket(7)).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def number_of(held: socket.socket) -> int:
    """The port that a socket has."""
    port: int = held.getsockname()[1]
    return port


def free_port() -> int:
    """A port that nobody uses, and nobody else is given: tests run beside each other."""
    _HELD.append(hold_port())
    return number_of(_HELD[-1])


@contextmanager
def dropping_port() -> Iterator[int]:
    """A port that answers nobody who connects, as behind a firewall that drops: its queue is full."""
    with ExitStack() as held:
        full = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield number_of(full)


def at(port: int) -> str:
    """The URL of a server at this port of ours."""
    return f"http://127.0.0.1:{port}"

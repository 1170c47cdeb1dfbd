"""A pattoo server whose answers depend on what is posted, and whose status page may be unhealthy."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from tests.support.server import PREFIX, Handler, PattooServer, Post

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    #: Looks at a body and says how to answer: the status, the text, and further headers.
    Mood = Callable[[bytes], tuple[int, bytes, dict[str, str]]]

#: Instead of an answer, reset the connection.
RESET: tuple[int, bytes, dict[str, str]] = (0, b"", {})
WELL = b"The Pattoo Agent API is Operational."


class MoodyServer(PattooServer):
    """Accepts what its `mood` answers with 200 and OK; `page` is its status page."""

    def __init__(self) -> None:
        self.mood: Mood = accepting
        self.page: tuple[int, bytes] = (200, WELL)
        self.bodies: list[bytes] = []
        super().__init__()

    def sizes(self) -> list[int]:
        """The number of polls in each post, in order of arrival, accepted or not."""
        return [len(Post("", body).timestamps()) for body in list(self.bodies)]


class _Handler(Handler):
    def do_GET(self) -> None:  # noqa: N802 - as inherited
        self.answer(*_owner(self).page)

    def do_POST(self) -> None:  # noqa: N802 - as inherited
        body = self.rfile.read(int(self.headers["Content-Length"]))
        owner = _owner(self)
        owner.bodies.append(body)
        status, text, headers = owner.mood(body)
        if (status, text) == (200, b"OK"):
            owner.posts.append(Post(self.path.removeprefix(PREFIX + "receive/"), body))
        if not status:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.shutdown(socket.SHUT_RD)
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


MoodyServer.handler = _Handler


def _owner(handler: Handler) -> MoodyServer:
    assert isinstance(handler.server.owner, MoodyServer)
    return handler.server.owner


def accepting(_: bytes) -> tuple[int, bytes, dict[str, str]]:
    """Accept everything."""
    return 200, b"OK", {}


def saying(status: int, text: bytes = b"no", **headers: str) -> Mood:
    """Accept nothing. In the names of headers, `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (status, text, named)


def refusing(*timestamps: int) -> Mood:
    """Answer 500 to each post that holds one of these polls."""

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        poisoned = set(timestamps) & set(Post("", body).timestamps())
        return (500, b"cannot read this", {}) if poisoned else accepting(body)

    return mood


def too_large_above(size: int) -> Mood:
    """Answer 413 to each larger post."""
    return lambda body: (413, b"too large", {}) if len(body) > size else accepting(body)


def failing_above(size: int, status: int) -> Mood:
    """Answer each larger post with a status that says nothing about the size; 0 for a reset."""

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if len(body) <= size:
            return accepting(body)
        return (status, b"no", {}) if status else RESET

    return mood


def hanging_above(size: int, until: threading.Event) -> Mood:
    """Leave each larger post without an answer until the event, and accept none of them."""

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if len(body) <= size:
            return accepting(body)
        until.wait(60)
        return 504, b"late", {}

    return mood


def late_above(size: int) -> Mood:
    """Answer each larger post as a proxy does whose server does not answer in time."""
    return lambda body: (504, b"late", {}) if len(body) > size else accepting(body)


def disk_full(_: bytes) -> tuple[int, bytes, dict[str, str]]:
    """Answer 500 to everything."""
    return 500, b"No space left on device", {}

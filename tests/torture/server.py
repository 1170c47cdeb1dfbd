"""A pattoo server that misbehaves in many ways, and records exactly what it took."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from tests.support.server import PREFIX, TEXT, Handler, PattooServer, Post, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    FailureMode = Callable[["FaultyHandler"], None]

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK"
PAGE = b"<html><body>Welcome to this network. Please log in.</body></html>"


@dataclass
class Taken:
    """A post that was taken; `number` is the number of its connection.

    `answered` says whether the whole answer was sent to a client that was still connected.
    """

    number: int
    at: float
    #: None if posts to this server have none.
    envelope_ms: int | None
    #: A digest of each poll's datapoints, by timestamp.
    polls: dict[int, str]
    answered: bool = False


@dataclass
class Received:
    """The posts that the server took, in order."""

    taken: list[Taken] = field(default_factory=list)
    #: The number of posts that were taken without an answer on purpose.
    unanswered: int = 0
    requests: int = 0
    #: The longest cookies that a post came with.
    cookie_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def polls(self) -> set[int]:
        """Return the timestamps of all polls that were taken."""
        with self.lock:
            return {timestamp for post in self.taken for timestamp in post.polls}


class FaultyHandler(Handler):
    """Answers one request according to the server's mode."""

    server: FaultyListener
    #: The answer to what was taken.
    taken_answer: bytes = OK
    taken: Taken | None = None

    def do_GET(self) -> None:  # noqa: N802 - as inherited
        """Send the status page, or misbehave as with posts."""
        if self.owner.page_mode is None:
            super().do_GET()
        else:
            self.close_connection = True
            self.owner.page_mode(self)

    def do_POST(self) -> None:  # noqa: N802 - as inherited
        """Take the post, or not."""
        self.close_connection = True
        sent = len(self.headers.get("Cookie", ""))
        self.owner.received.cookie_bytes = max(self.owner.received.cookie_bytes, sent)
        length = int(self.headers["Content-Length"])
        self.body = self.rfile.read(length)
        if len(self.body) == length:  # otherwise the sender died in the middle
            self.owner.received.requests += 1
            self.respond()

    def respond(self) -> None:
        """Answer by the mode."""
        self.owner.mode(self)

    @property
    def owner(self) -> FaultyServer:
        """The server that sets the mode."""
        return self.server.faulty

    @property
    def is_post(self) -> bool:
        """Whether the request is a post."""
        return self.command == "POST"

    def take(self) -> None:
        """Record the post as taken: from here on a real server would have it on disk."""
        if self.is_post:
            content = Post(self.path.removeprefix(PREFIX + "receive/"), self.body)
            self.record(content.content["pattoo_agent_timestamp"], _polls(content))

    def record(self, envelope_ms: int | None, polls: dict[int, str]) -> None:
        """Record the polls of a post as taken."""
        number = self.server.numbers.get(self.request, 0)
        self.taken = Taken(number, time.time(), envelope_ms, polls)
        with self.owner.received.lock:
            self.owner.received.taken.append(self.taken)

    def send_answer(self, content: bytes, pause_s: float = 0.0) -> None:
        """Send an answer; with a pause, byte by byte."""
        pieces = [bytes([byte]) for byte in content] if pause_s else [content]
        for piece in pieces:
            if self.client_is_gone() or not self.send(piece):
                return
            time.sleep(pause_s)
        if self.is_post and self.taken:
            self.taken.answered = True

    def client_is_gone(self) -> bool:
        """Return whether the client has disconnected."""
        try:
            return not self.request.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, content: bytes) -> bool:
        """Send bytes. Return whether the client is still connected."""
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            return True
        return False

    def reset(self) -> None:
        """End the connection by a reset."""
        with contextlib.suppress(OSError):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()

    def finish(self) -> None:
        """Finish the request; a connection that was reset has nothing to flush."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class FaultyListener(Server):
    """Numbers its connections in the order in which they came."""

    faulty: FaultyServer
    numbers: dict[Any, int]

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. Only one thread does, so the numbers are in order."""
        request, address = super().get_request()
        self.numbers[request] = next(self.faulty.numbering)
        return request, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as inherited
        """Forget a connection that has ended."""
        self.numbers.pop(request, None)
        super().shutdown_request(request)


class FaultyServer(PattooServer):
    """Listens while it is up. `mode` answers posts, and `page_mode`, if set, the status page."""

    handler: type[FaultyHandler] = FaultyHandler

    def __init__(self) -> None:
        self.received = Received()
        self.numbering = count(1)
        self.mode: FailureMode = well
        self.page_mode: FailureMode | None = None
        self.over = threading.Event()
        super().__init__()

    def up(self) -> None:
        """Start to listen, for the first time or again."""
        if self._server is None:
            server = FaultyListener(("127.0.0.1", self.port), self.handler)
            server.owner = server.faulty = self
            server.numbers = {}
            self._server = server
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def misbehave(self, mode: FailureMode, *, page_too: bool) -> None:
        """Answer by `mode` from now on."""
        self.over.clear()
        self.mode, self.page_mode = mode, mode if page_too else None

    @property
    def setting(self) -> str:
        """What the entry of an output says of its server."""
        return f"kind: pattoo, servers: ['http://127.0.0.1:{self.port}']"

    def stored(self) -> set[int]:
        """Return the timestamps of all polls that the server has."""
        return self.received.polls()

    def recover(self) -> None:
        """Behave well again, and release hanging requests."""
        self.mode, self.page_mode = well, None
        self.over.set()
        self.up()


def _polls(post: Post) -> dict[int, str]:
    points: dict[int, list[str]] = {}
    for point in post.datapoints():
        if point["pattoo_data_type"] != TEXT:
            text = json.dumps(point, sort_keys=True)
            points.setdefault(point["pattoo_timestamp"], []).append(text)
    return {
        t: hashlib.sha256("".join(sorted(all_)).encode()).hexdigest() for t, all_ in points.items()
    }


# --- modes


def well(handler: FaultyHandler) -> None:
    """Take a post and answer OK."""
    handler.take()
    if handler.is_post:
        handler.send_answer(handler.taken_answer)
    else:
        handler.answer(200, b"The Pattoo Agent API is Operational.")


def cookies(draw: Random) -> FailureMode:
    """Take a post, or refuse it, and set cookies of any number, name and size."""
    seed = draw.random()

    def behave(handler: FaultyHandler) -> None:
        again = Random(f"{seed} {handler.owner.received.requests}")
        names = ["session", *(f"c{again.randrange(10**6)}" for _ in range(again.randrange(90)))]
        lines = [f"Set-Cookie: {name}={'x' * again.randrange(9000)}; Path=/" for name in names]
        if handler.is_post and again.random() < 0.5:
            handler.take()
            first, _, rest = handler.taken_answer.partition(b"\r\n")
            handler.send_answer(b"\r\n".join([first, *(line.encode() for line in lines), rest]))
        else:
            status(again.choice([400, 431, 503]), *lines)(handler)

    return behave


def slow(seconds: float) -> FailureMode:
    """Take a post after `seconds`."""

    def behave(handler: FaultyHandler) -> None:
        time.sleep(seconds)
        well(handler)

    return behave


def hang(handler: FaultyHandler) -> None:
    """Never answer; return when the fault is over."""
    handler.owner.over.wait(60)


def reset(handler: FaultyHandler) -> None:
    """Reset the connection."""
    handler.reset()


def lose_answer(handler: FaultyHandler) -> None:
    """Take a post, and reset the connection instead of answering."""
    handler.take()
    if handler.is_post:
        handler.owner.received.unanswered += 1
    handler.reset()


def drip(pause_s: float) -> FailureMode:
    """Take a post, and send the answer one byte at a time."""

    def behave(handler: FaultyHandler) -> None:
        handler.take()
        handler.send_answer(handler.taken_answer, pause_s)

    return behave


def endless(head: bytes, piece: bytes) -> FailureMode:
    """Send an answer that never ends."""

    def behave(handler: FaultyHandler) -> None:
        sent = handler.send(head)
        while sent and not handler.owner.over.wait(0.001):
            sent = handler.send(piece)

    return behave


def raw(content: bytes) -> FailureMode:
    """Send these bytes and close."""

    def behave(handler: FaultyHandler) -> None:
        handler.send(content)

    return behave


def status(code: int, *headers: str) -> FailureMode:
    """Answer with this status, and take no post."""
    head = "\r\n".join([f"HTTP/1.1 {code} So it is", "Content-Length: 2", *headers])
    return raw(f"{head}\r\nConnection: close\r\n\r\nno".encode())


def garbage(draw: Random) -> FailureMode:
    """Send something that is not HTTP."""
    return raw(draw.randbytes(draw.randrange(1, 2000)))

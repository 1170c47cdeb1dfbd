"""A pattoo server that falls ill in many ways, and knows exactly what it took."""

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
from typing import TYPE_CHECKING, Any

from tests.support.server import PREFIX, Handler, PattooServer, Post, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Mood = Callable[["IllHandler"], None]

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK"
PAGE = b"<html><body>Welcome to this network. Please log in.</body></html>"


@dataclass
class Taken:
    """A post that was taken: `number` is the place of its connection among all of them.

    `heard` tells whether the whole answer went to a client that was still there.
    """

    number: int
    at: float
    envelope_ms: int
    #: The polls by their time, each with a digest of its datapoints.
    polls: dict[int, str]
    heard: bool = False


@dataclass
class Book:
    """What the server took, in the order in which it did."""

    taken: list[Taken] = field(default_factory=list)
    #: Posts that were taken and answered with nothing, on purpose.
    unanswered: int = 0
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def polls(self) -> set[int]:
        """Every poll that was taken."""
        with self.lock:
            return {timestamp for post in self.taken for timestamp in post.polls}


class IllHandler(Handler):
    """Answers one request as the server's mood is."""

    server: IllServer

    def do_GET(self) -> None:  # noqa: N802 - as inherited
        """The status page; where the server is ill it is no better than the rest."""
        if self.owner.mood_of_page is None:
            super().do_GET()
        else:
            self.close_connection = True
            self.owner.mood_of_page(self)

    def do_POST(self) -> None:  # noqa: N802 - as inherited
        """Take the post, or not."""
        self.close_connection = True
        length = int(self.headers["Content-Length"])
        self.body = self.rfile.read(length)
        if len(self.body) == length:  # else its sender died in the middle of it
            self.owner.book.requests += 1
            self.owner.mood(self)

    @property
    def owner(self) -> FaultyServer:
        """Whoever sets the mood."""
        return self.server.faulty

    @property
    def is_post(self) -> bool:
        """Whether there is something to be taken."""
        return self.command == "POST"

    def take(self) -> None:
        """Note the post as taken: from here on the real server would have it on its disk."""
        if self.is_post:
            content = Post(self.path.removeprefix(PREFIX + "receive/"), self.body)
            number = self.server.numbers.get(self.request, 0)
            taken = Taken(
                number, time.time(), content.content["pattoo_agent_timestamp"], _polls(content)
            )
            self.taken = taken
            with self.owner.book.lock:
                self.owner.book.taken.append(taken)

    def say(self, content: bytes, pause_s: float = 0.0) -> None:
        """Send an answer, byte by byte if there is to be a pause after each."""
        pieces = [bytes([byte]) for byte in content] if pause_s else [content]
        for piece in pieces:
            if self.is_alone() or not self.send(piece):
                return
            time.sleep(pause_s)
        if self.is_post:
            self.taken.heard = True

    def is_alone(self) -> bool:
        """Whether the client has gone."""
        try:
            return not self.request.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, content: bytes) -> bool:
        """Send bytes as they are; whether somebody still reads."""
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            return True
        return False

    def cut(self) -> None:
        """End the connection by a reset."""
        with contextlib.suppress(OSError):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()

    def finish(self) -> None:
        """End it; a connection that was reset has nothing to flush."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class IllServer(Server):
    """Numbers its connections in the order in which they came."""

    faulty: FaultyServer
    numbers: dict[Any, int]

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; one thread does, so the numbers are in order."""
        request, address = super().get_request()
        self.numbers[request] = next(self.faulty.numbering)
        return request, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as inherited
        """Forget a connection that is over."""
        self.numbers.pop(request, None)
        super().shutdown_request(request)


class FaultyServer(PattooServer):
    """Listens while it is up; answers posts by `mood`, and its status page by `mood_of_page`."""

    def __init__(self) -> None:
        self.book = Book()
        self.numbering = count(1)
        self.mood: Mood = well
        self.mood_of_page: Mood | None = None
        self.over = threading.Event()
        super().__init__()

    def up(self) -> None:
        """Begin, or begin again, to listen."""
        if self._server is None:
            server = IllServer(("127.0.0.1", self.port), IllHandler)
            server.owner = server.faulty = self
            server.numbers = {}
            self._server = server
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def fall_ill(self, mood: Mood, *, page_too: bool) -> None:
        """Answer by `mood` from now on."""
        self.over.clear()
        self.mood, self.mood_of_page = mood, mood if page_too else None

    def recover(self) -> None:
        """Be well, and let go of whoever hangs."""
        self.mood, self.mood_of_page = well, None
        self.over.set()
        self.up()


def _polls(post: Post) -> dict[int, str]:
    points: dict[int, list[str]] = {}
    for point in post.datapoints():
        points.setdefault(point["pattoo_timestamp"], []).append(json.dumps(point, sort_keys=True))
    return {
        t: hashlib.sha256("".join(sorted(all_)).encode()).hexdigest() for t, all_ in points.items()
    }


# --- moods


def well(handler: IllHandler) -> None:
    """Take it and say so."""
    handler.take()
    if handler.is_post:
        handler.say(OK)
    else:
        handler.answer(200, b"The Pattoo Agent API is Operational.")


def slow(seconds: float) -> Mood:
    """Take it after a while."""

    def behave(handler: IllHandler) -> None:
        time.sleep(seconds)
        well(handler)

    return behave


def hang(handler: IllHandler) -> None:
    """Say nothing until it is over, and nothing then."""
    handler.owner.over.wait(60)


def reset(handler: IllHandler) -> None:
    """Reset the connection instead of an answer."""
    handler.cut()


def lose_the_answer(handler: IllHandler) -> None:
    """Take it, and let the answer be lost on its way."""
    handler.take()
    if handler.is_post:
        handler.owner.book.unanswered += 1
    handler.cut()


def drip(pause_s: float) -> Mood:
    """Take it, and answer head and body one byte at a time."""

    def behave(handler: IllHandler) -> None:
        handler.take()
        handler.say(OK, pause_s)

    return behave


def endless(head: bytes, piece: bytes) -> Mood:
    """Begin an answer that never ends."""

    def behave(handler: IllHandler) -> None:
        sent = handler.send(head)
        while sent and not handler.owner.over.wait(0.001):
            sent = handler.send(piece)

    return behave


def literally(content: bytes) -> Mood:
    """Send these bytes, whatever they are, and close."""

    def behave(handler: IllHandler) -> None:
        handler.send(content)

    return behave


def status(code: int, *headers: str) -> Mood:
    """Answer with this status, and take nothing."""
    head = "\r\n".join([f"HTTP/1.1 {code} So it is", "Content-Length: 2", *headers])
    return literally(f"{head}\r\nConnection: close\r\n\r\nno".encode())


def garbage(draw: Random) -> Mood:
    """Something that is not HTTP."""
    return literally(draw.randbytes(draw.randrange(1, 2000)))

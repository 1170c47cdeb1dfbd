"""A pattoo server for tests: it takes posts as the real one does, or misbehaves on request.

It keeps every post that it answered with 200 and OK, in order, and decodes them without the agent's code.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.listening import Answering, Listening
from tests.support.ports import hold_port, number_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    Behaviour = Callable[["Handler"], bool]

PREFIX = "/pattoo/api/v1/agent/"
#: The data type of which a server stores nothing. Test posts have it.
TEXT = 2


@dataclass
class Post:
    """One post as it arrived."""

    agent_id: str
    body: bytes
    arrived: float = field(default_factory=time.time)
    _timestamps: list[int] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The body, decoded."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    def datapoints(self) -> list[dict[str, Any]]:
        """Return each datapoint as a mapping of its pairs."""
        points = self.content["pattoo_datapoints"]
        pairs = points["key_value_pairs"]
        return [dict(pairs[str(i)] for i in ids) for ids in points["datapoint_pairs"]]

    def timestamps(self) -> list[int]:
        """Return the timestamps of the polls in this post, in order, each once. A test post has none."""
        if self._timestamps is None:  # tests ask again and again
            polled = (point for point in self.datapoints() if point["pattoo_data_type"] != TEXT)
            found = dict.fromkeys(point["pattoo_timestamp"] for point in polled)
            self._timestamps = list(found)
        return self._timestamps


class Handler(Answering):
    """Answers one request."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - as http.server looks for it
        """Answer with the status page, unless `status_page` says otherwise."""
        if self.server.owner.status_page(self):
            self.answer(200, b"The Pattoo Agent API is Operational.")

    def do_POST(self) -> None:  # noqa: N802 - as http.server looks for it
        """Take a post, unless `behaviour` says otherwise."""
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:  # the sender was killed meanwhile: a server takes no part of a post
            self.close_connection = True
            return
        owner = self.server.owner
        owner.attempts += 1
        post = owner.latest = Post(self.path.removeprefix(PREFIX + "receive/"), body)
        if owner.behaviour(self):
            owner.posts.append(post)
            self.answer(200, b"OK")


class Server(Listening):
    """The listening part of a `PattooServer`, its `owner`."""

    owner: PattooServer

    def tls(self) -> SSLContext | None:
        """The owner's TLS context."""
        return self.owner.context


class PattooServer:
    """Listens on a free port of 127.0.0.1 while it is up. `port` stays the same when it is down.

    With a `context` it speaks TLS. A new context takes effect at the next connection.
    """

    handler: type[Handler] = Handler

    def __init__(self, context: SSLContext | None = None) -> None:
        self.context = context
        self.posts: list[Post] = []
        self.attempts = 0
        self.latest = Post("", b"")
        self.behaviour: Behaviour = well
        self.status_page: Behaviour = well
        self._server: Server | None = None
        # While the server is down, its port stays reserved: no other program may answer there.
        self._reserved = hold_port()
        self.port = number_of(self._reserved)
        self.up()

    def up(self) -> None:
        """Start to listen, for the first time or again."""
        self._server = Server(("127.0.0.1", self.port), self.handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stop to listen: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        """Stop the server and release its port."""
        self.down()
        self._reserved.close()

    def timestamps(self) -> list[int]:
        """All polls that arrived, in the order in which they did."""
        return [t for post in list(self.posts) for t in post.timestamps()]


def well(_: Handler) -> bool:
    """Take the post, or send the status page."""
    return True


def slow(seconds: float) -> Behaviour:
    """Take the post after `seconds`."""

    def behave(_: Handler) -> bool:
        time.sleep(seconds)
        return True

    return behave


def hanging(until: threading.Event) -> Behaviour:
    """Never answer; close the connection when `until` is set."""

    def behave(handler: Handler) -> bool:
        until.wait(60)
        handler.close_connection = True
        return False

    return behave


def answering(status: int, body: bytes = b"no") -> Behaviour:
    """Answer with a status and a body, and take no post."""

    def behave(handler: Handler) -> bool:
        handler.answer(status, body)
        return False

    return behave

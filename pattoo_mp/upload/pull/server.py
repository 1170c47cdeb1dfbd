"""The HTTP server of an output of kind pull: one thread, one selector, and a limit on everything.

A client can hold a connection, a few kilobytes and its share of time, and nothing else: connections are
bounded in all and for each client, a request has to arrive within `REQUEST_S`, an answer to be taken within
`ANSWER_S`, and requests come at a bounded rate. Where connections run out, an idle one is closed for a new one, or one of the client that has most.
What may take time (the spool) is asked in another thread, and its answer comes by `complete`.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import now_ms
from pattoo_mp.upload.pull import http
from pattoo_mp.upload.pull.clients import RATE, Shares, network_of, plain_address
from pattoo_mp.upload.pull.http import BODY_BYTES, HEAD_BYTES, Answer, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from pattoo_mp.upload.pull.http import Request

_LOG = logging.getLogger(__name__)

#: Connections in all, and from one client: an IPv4 address or an IPv6 network of 64 bits.
CONNECTIONS: Final = 64
FROM_ONE: Final = 16
#: What all answers together may take that clients have not taken yet: some full ones of hubs.
HELD_BYTES: Final = 4 << 20
#: How long a request may take to arrive, an answer to be taken, and a connection to be idle (s).
REQUEST_S: Final = 10.0
ANSWER_S: Final = 60.0
IDLE_S: Final = 75.0
#: An answer of which nothing is taken for so long (s) is given up.
_STALLED_S: Final = 10.0
#: How long a connection that ends waits for the client to close it (s): closed at once, the answer may be lost.
_LINGER_S: Final = 1.0
_READ_BYTES: Final = 4096
_SEND_BYTES: Final = 1 << 16
#: Accepted in one turn, so that a flood of connections leaves time for those that are there.
_ACCEPTED: Final = 16
_ACCEPT_PAUSE_S: Final = 0.5
_NEVER: Final = float("inf")
_BUSY: Final = RefusedError(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "no room for another connection or answer",
    {"Retry-After": "5"},
    closes=True,
).answer
_TOO_MANY: Final = (
    HTTPStatus.TOO_MANY_REQUESTS,
    f"expected at most {RATE:g} requests a second",
    {"Retry-After": "1"},
)
_LATE: Final = RefusedError(
    HTTPStatus.REQUEST_TIMEOUT, f"expected the whole request within {REQUEST_S:g} s", closes=True
).answer


@dataclass(eq=False, slots=True)
class Connection:
    """A client's connection. It reads a request, waits for the answer, or sends it; or it ends."""

    socket: socket.socket
    address: str
    client: str
    due_at: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    #: The request that is being answered.
    request: Request | None = None
    answer_by: float = _NEVER
    closes: bool = False
    ending: bool = False
    events: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request that has not begun, or for the client to close it."""
        return self.ending or (self.request is None and not self.unsent and not self.received)


class Server:
    """Serves on `listening` until `stop`.

    `handle` gets a request and its connection; it returns the answer, or None if `complete` gives it
    later, or raises `RefusedError`. `admit` says whether an address may ask at all.
    """

    def __init__(
        self,
        listening: socket.socket,
        handle: Callable[[Request, Connection], Answer | None],
        admit: Callable[[str], bool],
        tls: SSLContext | None = None,
    ) -> None:
        self._listening = listening
        self._handle = handle
        self._admit = admit
        self._tls = tls
        self._wants_read: tuple[type[Exception], ...] = ()
        self._wants_write: tuple[type[Exception], ...] = ()
        if tls is not None:
            from ssl import SSLWantReadError, SSLWantWriteError  # noqa: PLC0415 - only with TLS

            self._wants_read = (SSLWantReadError,)
            self._wants_write = (SSLWantWriteError,)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        for each in (listening, self._wake_read, self._wake_write):
            each.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._connections: dict[Connection, None] = {}
        self._shares = Shares()
        self._completed: deque[tuple[Connection, Answer]] = deque()
        self._accept_at = 0.0
        self._stopping = False
        #: Requests that were answered, the time of the last one (ms since the epoch), and the bytes of the answers.
        self.requests = 0
        self.last_ms = 0
        self.sent_bytes = 0

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._timeout_s()):
                    self._ready(key)
                self._take_completed()
                self._expire(time.monotonic())
        finally:
            for connection in list(self._connections):
                self._close(connection)
            self._selector.close()
            for each in (self._listening, self._wake_read, self._wake_write):
                each.close()

    def stop(self) -> None:
        """End; callable from any thread."""
        self._stopping = True
        self._wake()

    def complete(self, connection: Connection, answer: Answer) -> None:
        """Give the answer to the request of a connection; callable from any thread."""
        self._completed.append((connection, answer))
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full, so it is awake already; or closed
            self._wake_write.send(b"\0")

    # --- the loop

    def _timeout_s(self) -> float | None:
        now = time.monotonic()
        moments = [min(c.due_at, c.answer_by) for c in self._connections]
        if self._accept_at > now:
            moments.append(self._accept_at)
        first = min(moments, default=_NEVER)
        return None if first == _NEVER else max(0.0, first - now)

    def _ready(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listening:
            self._accept()
        elif key.fileobj is self._wake_read:
            with contextlib.suppress(BlockingIOError):
                while self._wake_read.recv(_READ_BYTES):
                    pass
        else:
            connection: Connection = key.data
            if connection in self._connections:  # not one that was closed in this turn
                self._go_on(connection)

    def _take_completed(self) -> None:
        while self._completed:
            connection, answer = self._completed.popleft()
            if connection in self._connections and connection.request is not None:
                self._begin_answer(connection, answer)
                self._go_on(connection)

    def _expire(self, now: float) -> None:
        if self._accept_at and now >= self._accept_at:
            self._accept_at = 0.0
            self._selector.register(self._listening, selectors.EVENT_READ)
        for connection in list(self._connections):
            if now < min(connection.due_at, connection.answer_by):
                continue
            is_late = connection.received and connection.request is None and not connection.unsent
            if is_late and not connection.ending:
                self._refuse(connection, _LATE)
                self._go_on(connection)
            else:
                self._close(connection)

    # --- connections

    def _accept(self) -> None:
        for _ in range(_ACCEPTED):
            try:
                accepted, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Without descriptors the connection stays pending, and the loop would spin.
                _LOG.warning("A connection cannot be accepted: %s.", error.strerror)
                self._selector.unregister(self._listening)
                self._accept_at = time.monotonic() + _ACCEPT_PAUSE_S
                return
            self._add(accepted, plain_address(str(address[0])))

    def _add(self, accepted: socket.socket, address: str) -> None:
        client = network_of(address)
        same = [each for each in self._connections if each.client == client]
        if len(same) >= FROM_ONE and not self._make_room(same):
            _turn_away(accepted)
            return
        if len(self._connections) >= CONNECTIONS and not (
            self._make_room(list(self._connections)) or self._make_room_of_the_greediest(len(same))
        ):
            _turn_away(accepted)
            return
        accepted.setblocking(False)
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            try:
                accepted = self._tls.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                accepted.close()
                return
        connection = Connection(accepted, address, client, time.monotonic() + REQUEST_S)
        self._connections[connection] = None
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        connection.events = selectors.EVENT_READ
        if not self._admit(address):
            answer = RefusedError(
                HTTPStatus.FORBIDDEN,
                f"{address} may not ask here; expected an address in allow",
                closes=True,
            ).answer
            if self._tls is None:
                self._refuse(connection, answer)
                self._go_on(connection)
            else:
                self._close(connection)

    def _make_room(self, among: list[Connection]) -> bool:
        """Close the connection that has been idle longest; return whether there was one."""
        idle = [each for each in among if each.is_idle]
        if not idle:
            return False
        self._close(min(idle, key=lambda each: each.due_at))
        return True

    def _make_room_of_the_greediest(self, own: int) -> bool:
        """Close the oldest connection of the client that has most; a few slow ones could keep out all others.

        Return whether there was one that has more than a client that has `own` of them will have.
        """
        ((client, most),) = Counter(each.client for each in self._connections).most_common(1)
        if most <= own + 1:
            return False
        self._close(next(each for each in self._connections if each.client == client))
        return True

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection, 0) == 0:
            return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

    def _go_on(self, connection: Connection) -> None:
        """Do all that can be done without waiting, and then wait for what is needed next."""
        try:
            while self._step(connection):
                pass
            self._watch(
                connection,
                selectors.EVENT_WRITE if connection.unsent else self._reading(connection),
            )
        except BlockingIOError:
            self._watch(
                connection, selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
            )
        except self._wants_read:
            self._watch(connection, selectors.EVENT_READ)
        except self._wants_write:
            self._watch(connection, selectors.EVENT_WRITE)
        except (OSError, ValueError):  # reset by the client, or no TLS
            self._close(connection)

    @staticmethod
    def _reading(connection: Connection) -> int:
        # While an answer is made, nothing more is read: the client has to wait, too.
        return 0 if connection.request is not None else selectors.EVENT_READ

    def _watch(self, connection: Connection, events: int) -> None:
        if connection not in self._connections or events == connection.events:
            return
        if not connection.events:
            self._selector.register(connection.socket, events, connection)
        elif not events:
            self._selector.unregister(connection.socket)
        else:
            self._selector.modify(connection.socket, events, connection)
        connection.events = events

    def _step(self, connection: Connection) -> bool:
        """Do one thing; return whether there may be another. Raises what a socket raises."""
        if connection not in self._connections:
            return False
        if connection.unsent:
            return self._send(connection)
        if connection.ending:
            self._discard(connection)
            return False  # a client that sends faster than this reads has no more than its turn
        if connection.request is not None:
            return False
        if self._take_request(connection):
            return True
        return connection.request is None and self._receive(connection)

    # --- requests and answers

    def _receive(self, connection: Connection) -> bool:
        data = connection.socket.recv(_READ_BYTES)
        if not data:
            self._close(connection)
            return False
        if not connection.received:
            connection.due_at = time.monotonic() + REQUEST_S
        connection.received += data
        return True

    def _take_request(self, connection: Connection) -> bool:
        if not connection.received:
            return False
        try:
            request = http.take(connection.received)
            if request is None:
                if len(connection.received) > HEAD_BYTES + BODY_BYTES + _READ_BYTES:
                    self._close(connection)
                return False
            connection.request = request
            connection.due_at = _NEVER
            connection.answer_by = time.monotonic() + ANSWER_S
            if not self._shares.take(connection.client):
                raise RefusedError(*_TOO_MANY, closes=True)  # noqa: TRY301 - as what `handle` raises
            answer = self._handle(request, connection)
        except RefusedError as refused:
            self._refuse(connection, refused.answer)
            return True
        if answer is None:
            return False
        self._begin_answer(connection, answer)
        return True

    def _refuse(self, connection: Connection, answer: Answer) -> None:
        if answer.closes:
            connection.received.clear()
        self._begin_answer(connection, answer)

    def _begin_answer(self, connection: Connection, answer: Answer) -> None:
        request = connection.request
        keep_alive = request is not None and request.keep_alive
        connection.closes = answer.closes or not keep_alive
        is_head = request is not None and request.method == "HEAD"
        if len(answer.body) > _SEND_BYTES and not is_head:
            held = sum(len(each.unsent) for each in self._connections)
            if held and held + len(answer.body) > HELD_BYTES:
                answer = _BUSY
                connection.closes = True
        connection.unsent = memoryview(answer.packed(with_body=not is_head, keep_alive=keep_alive))
        now = time.monotonic()
        connection.due_at, connection.answer_by = now + _STALLED_S, now + ANSWER_S
        self.requests += 1
        self.last_ms = now_ms()

    def _send(self, connection: Connection) -> bool:
        sent = connection.socket.send(connection.unsent[:_SEND_BYTES])
        self.sent_bytes += sent
        connection.unsent = connection.unsent[sent:]
        connection.due_at = time.monotonic() + _STALLED_S
        if connection.unsent:
            return True
        connection.request, connection.answer_by = None, _NEVER
        if connection.closes:
            connection.ending = True
            connection.due_at = time.monotonic() + _LINGER_S
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_WR)
        else:
            has_begun = bool(connection.received)
            connection.due_at = time.monotonic() + (REQUEST_S if has_begun else IDLE_S)
        return True

    def _discard(self, connection: Connection) -> None:
        if not connection.socket.recv(_SEND_BYTES):
            self._close(connection)


def _turn_away(accepted: socket.socket) -> None:
    with contextlib.suppress(OSError):
        accepted.setblocking(False)
        accepted.send(_BUSY.packed())
    accepted.close()

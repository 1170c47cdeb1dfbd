"""Bounds a whole HTTP exchange in time.

The time-outs of `requests` bound one read, so a server that sends a byte a second holds a client
for ever. Here the socket is shut down, whatever is being read or written, when the time is up or
when the agent stops.
"""

from __future__ import annotations

import contextlib
import socket
import time
from contextlib import contextmanager
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Iterator


class Guard:
    """Knows the socket of the exchange that goes on, and may cut it off from any thread.

    An exchange may take `seconds`. One thread watches over many of them: to start one costs a tenth
    of an exchange. It ends when it finds none that goes on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = RLock()
        self._socket: socket.socket | None = None
        self._due: float | None = None
        self._is_watched = False
        self._expired = False
        self._closed = False

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Cut off what goes on inside once its time is up; then `cut` is true."""
        with self._lock:
            self._expired = False
            self._due = time.monotonic() + self._seconds
            if not self._is_watched:
                Thread(target=self._watch, name="exchange", daemon=True).start()
                self._is_watched = True
        try:
            yield
        finally:
            with self._lock:
                self._due = None

    @property
    def cut(self) -> bool:
        """Whether the exchange was cut off, or will be as soon as it begins."""
        return self._expired or self._closed

    def watch(self, sock: socket.socket) -> None:
        """Take note of a socket that was just connected."""
        with self._lock:
            self._socket = sock
        if self.cut:
            self._shut_down()

    def close(self) -> None:
        """Cut off this exchange and every later one."""
        self._closed = True
        self._shut_down()

    def _watch(self) -> None:
        while (left := self._left_s()) is not None:
            time.sleep(left)

    def _left_s(self) -> float | None:
        """How long the exchange that goes on has yet; none if there is none, or its time is up."""
        with self._lock:
            left = 0.0 if self._due is None else self._due - time.monotonic()
            if left > 0:
                # One that began later is due later.
                return left
            self._is_watched = False
            if self._due is not None:
                self._expired = True
                self._shut_down()
        return None

    def _shut_down(self) -> None:
        with self._lock:
            sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # it is closed already
                sock.shutdown(socket.SHUT_RDWR)


class GuardedAdapter(HTTPAdapter):
    """Connects as `requests` does and shows each socket to a guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
        """Give the pools connections that call the guard."""
        super().init_poolmanager(*args, **options)
        guard = self._guard

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                guard.watch(self.sock)

        class Encrypted(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                guard.watch(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}

"""Connects to the first of a server's addresses that answers, within the limit of an exchange.

The library gives each address all of its time-out, so a name with a dozen of them, behind a
firewall that drops, would hold a post for minutes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPResponse
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import allowed_gai_family

from pattoo_mp.upload.answer import FailedError, Outcome
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext


#: What one address may take at the most, however much time there is.
ADDRESS_S: Final = 10.0


def connect(connection: HTTPConnection, watchdog: ExchangeWatchdog) -> socket.socket:
    """A socket that is connected to where `connection` is to go, and that `watchdog` knows.

    Raises `NewConnectionError`, made of what was wrong with the last address that was tried: of an
    error without that name the library may think that an answer has come already.
    """
    watchdog.failed()
    try:
        sock = _first(connection, watchdog)
    except OSError as error:
        watchdog.failed()
        raise NewConnectionError(connection, str(error)) from error
    sock.settimeout(connection.timeout)
    return sock


def _first(connection: HTTPConnection, watchdog: ExchangeWatchdog) -> socket.socket:
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - with a dot at its end, if any
    found = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    wrong: OSError = TimeoutError("timed out")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        left_s = watchdog.left_s
        if not left_s:
            break
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            wrong = error
            continue
        try:
            watchdog.connecting(sock)
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            # An even share: one address that drops leaves time for those after it.
            sock.settimeout(min(ADDRESS_S, left_s / (len(found) - place)))
            sock.connect(address)
        except OSError as error:
            wrong = error
            sock.close()
        else:
            return sock
    raise wrong


# Bounds a whole HTTP exchange in time.
#
# The time-outs of `requests` bound one read, so a server that sends a byte a second holds a client
# for ever. Here the socket is shut down, whatever is being read or written, when the time is up or
# when the agent stops.

#: Whether `requests` was imported with TLS (`plain.py`).
HAS_TLS: Final = issubclass(HTTPSConnection, HTTPConnection)


class ExchangeWatchdog:
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
        self._is_ours = False
        self._expired = False
        self._closed = False

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Cut off what goes on inside once its time is up; then `cut` is true.

        Raises `FailedError` where the host has no thread to watch over it.
        """
        with self._lock:
            self._expired = False
            if not self._is_watched:
                self._start_watching()
            self._due = time.monotonic() + self._seconds
        try:
            yield
        finally:
            with self._lock:
                self._due = None

    @property
    def cut(self) -> bool:
        """Whether the exchange was cut off, or will be as soon as it begins."""
        return self._expired or self._closed

    @property
    def was_late(self) -> bool:
        """Whether the last exchange had a connection that was ready, and its time ran out on that."""
        return self._expired and self._socket is not None and not self._is_ours

    @property
    def left_s(self) -> float:
        """How long the exchange that goes on may take yet; 0 if it is to end."""
        with self._lock:
            if self._due is None or self.cut:
                return 0.0
            return max(0.0, self._due - time.monotonic())

    def connecting(self, sock: socket.socket) -> None:
        """Take note of a socket that is to be connected, and that TLS may take over next.

        What is taken over can be cut off by another descriptor of it alone.
        """
        self._follow(sock.dup(), is_ours=True)

    def connected(self, sock: socket.socket) -> None:
        """Take note of a socket that nobody takes over any more."""
        # Of TLS within TLS, the socket of the outer one.
        self._follow(getattr(sock, "socket", sock), is_ours=False)

    def failed(self) -> None:
        """Forget a socket that did not become ready."""
        self._follow(None, is_ours=False)

    def close(self) -> None:
        """Cut off this exchange and every later one."""
        self._closed = True
        self._shut_down()

    def _start_watching(self) -> None:
        """Inside the lock: the thread has nothing to see before it is let go."""
        try:
            Thread(target=self._watch, name="exchange", daemon=True).start()
        except RuntimeError as error:
            outcome = Outcome("this host has no thread to spare for a post", Fault.OURS)
            raise FailedError(outcome) from error
        self._is_watched = True

    def _watch(self) -> None:
        while (left := self._look_s()) is not None:
            time.sleep(left)

    def _look_s(self) -> float | None:
        """In how long to look again; none if nothing goes on, or its time is up: then it is cut off."""
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

    def _follow(self, sock: socket.socket | None, *, is_ours: bool) -> None:
        with self._lock:
            former, self._socket = (self._socket if self._is_ours else None), sock
            self._is_ours = is_ours
            if former is not None:
                former.close()
        if self.cut:
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    # Not the method of an encrypted socket: that one forgets its encryption
                    # first, and what another thread then sends would go out in the clear.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Exchanges as `requests` does and shows each socket to a watchdog.

    `context` is for TLS, and has all that vouches for a server and for us; none without TLS. A
    proxy, and it alone, gets the header `proxy_authorization`.
    """

    def __init__(
        self,
        watchdog: ExchangeWatchdog,
        context: SSLContext | None = None,
        proxy_authorization: str = "",
    ) -> None:
        self._pools = _pools(watchdog)
        self._context = context
        self._proxy_authorization = proxy_authorization
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
        """Give the pools connections that call the watchdog."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - as inherited
        """Give those for a proxy the same."""
        options = {**options, "ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002 - as inherited
        """What a proxy is told: the library would take it from the URL."""
        header = self._proxy_authorization
        return {"Proxy-Authorization": header} if header else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002
        """Leave it to the context: `requests` would trust CAs of its own beside those in it."""
        conn.cert_reqs = "CERT_REQUIRED"


class _Response(HTTPResponse):
    """The answer itself, and nothing that a server says before it.

    Statuses from 100 to 199 are followed by an answer, but for 101, which nobody asked for (RFC 9110,
    section 15.2). The library knows that of 100 alone, and would leave the answer to the next request.
    """

    def begin(self, **options: Any) -> None:  # noqa: ANN401 - as inherited
        super().begin(**options)
        while 100 < self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            # So it reads on. The watchdog ends it with a server that says nothing else.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin(**options)


def _pools(watchdog: ExchangeWatchdog) -> dict[str, type[HTTPConnectionPool]]:
    """The pools by scheme. Without TLS that for https is the library's own, which says so."""

    class Plain(HTTPConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            sock = connect(self, watchdog)
            watchdog.connected(sock)
            return sock

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    if not HAS_TLS:
        return {"http": PlainPool, "https": HTTPSConnectionPool}

    class Encrypted(HTTPSConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            return connect(self, watchdog)

        def connect(self) -> None:
            try:
                super().connect()
            except BaseException:
                watchdog.failed()
                raise
            watchdog.connected(self.sock)

        def send(self, data: Any) -> None:  # noqa: ANN401 - as inherited
            with _broken_pipes():
                super().send(data)

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


@contextmanager
def _broken_pipes() -> Iterator[None]:
    """Call the end of a connection with TLS what it is called of a plain one.

    With TLS 1.3 a server refuses our certificate after the handshake, while we send. By this name
    the library reads what the server said last.
    """
    try:
        yield
    except OSError as error:
        if type(error).__name__ != "SSLEOFError":
            raise
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error

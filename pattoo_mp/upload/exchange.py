"""Time limits for whole HTTP exchanges, and connections that keep to them.

The time-outs of `requests` limit only a single read, so a server that sends a byte a second holds a
client forever. Here a watchdog shuts the socket down, whatever is being read or written, when the
time is up or the agent stops.

The library also gives each address of a name the whole time-out, so a name with a dozen addresses
behind a firewall that drops packets would hold a post for minutes. So connections are made here, to
the first address that answers, with a share of the time for each.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import time
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPMessage, HTTPResponse, IncompleteRead
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import allowed_gai_family

from pattoo_mp.upload.answer import FailedError, Outcome
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.host_lack import host_lack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase
    from ssl import SSLContext
    from typing import TypeAlias

    #: As `socket.getaddrinfo` returns it.
    _Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]

#: A connection that was idle for longer (s) is not used again: a NAT may have forgotten it, so that
#: nothing reaches the server any more. NATs forget after 30 s to 350 s, but some firewalls much
#: sooner, and many servers close after 5 s.
MAX_IDLE_S: Final = 3.0
#: While nothing is sent, the kernel checks a connection so often. So no NAT forgets it while a server
#: takes its time to answer.
_KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, round(MAX_IDLE_S)),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, round(MAX_IDLE_S)),
    # That takes longer than an exchange may take, which has its own limit.
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 15),
)

#: The most time for one address, however much is left.
ADDRESS_S: Final = 10.0

#: The cookie by which a pattoo server knows a session: that of Flask. Browsers, too, keep none that
#: is larger than 4096 bytes.
_SESSION_COOKIE: Final = re.compile(r"\s*(session=[!-:<-~]{0,4000})\s*(?:;|$)")

#: Whether `requests` was imported with TLS (lean_requests.py).
HAS_TLS: Final = issubclass(HTTPSConnection, HTTPConnection)


def connect(connection: HTTPConnection, watchdog: ExchangeWatchdog) -> socket.socket:
    """Return a socket that is connected for `connection` and known to `watchdog`.

    Raises `NewConnectionError` with the error of the last address tried: after any other error the
    library might assume that an answer has already arrived. An error that says something about the
    server counts more than a lack of this host, such as that of a route for IPv6.
    """
    watchdog.failed()
    watchdog.is_new = True
    try:
        sock = _connect_first(connection, watchdog)
    except OSError as error:
        watchdog.failed()
        raise NewConnectionError(connection, str(error)) from error
    sock.settimeout(connection.timeout)
    return sock


def _connect_first(connection: HTTPConnection, watchdog: ExchangeWatchdog) -> socket.socket:
    found = _addresses(connection)
    errors: list[OSError] = []
    for number, address in enumerate(found):
        left_s = watchdog.left_s
        if not left_s:
            errors.append(TimeoutError("timed out"))
            break
        # An equal share, so that an address that drops packets leaves time for the next ones.
        share_s = min(ADDRESS_S, left_s / (len(found) - number))
        try:
            return _connect_one(address, share_s, connection, watchdog)
        except OSError as error:
            errors.append(error)
    of_server = [error for error in errors if not host_lack(error)]
    raise (of_server or errors)[-1]


def _connect_one(
    address: _Address, seconds: float, connection: HTTPConnection, watchdog: ExchangeWatchdog
) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        watchdog.connecting(sock)
        for option in (*(connection.socket_options or ()), *_KEEP_ALIVE):
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect(where)
    except OSError as error:
        sock.close()
        if error.errno == errno.EINVAL and family == socket.AF_INET6:  # ipv6(7): it needs a zone
            raise OSError(errno.EDESTADDRREQ, os.strerror(errno.EDESTADDRREQ)) from None
        raise
    return sock


def _addresses(connection: HTTPConnection) -> Sequence[_Address]:
    """Return the addresses of the server's name."""
    # This attribute keeps a final dot. In a URL, the % before the zone of an address is %25.
    host = connection._dns_host.replace("%25", "%")  # noqa: SLF001
    try:
        return socket.getaddrinfo(host, connection.port, allowed_gai_family(), socket.SOCK_STREAM)
    except socket.gaierror:
        # A resolver that lacks a descriptor says that there is no such name. This says it.
        socket.socket().close()
        if "%" in host:  # an address, so the zone is wrong
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None
        raise


class ExchangeWatchdog:
    """Limits exchanges to `seconds` each, and can cut the current one off from any thread.

    It follows the socket of the current exchange. One thread watches many exchanges, since starting
    one costs a tenth of an exchange. The thread ends when it finds no exchange under way.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = RLock()
        self._socket: socket.socket | None = None
        self._due: float | None = None
        self._is_watched = False
        self._is_duplicate = False
        self._expired = False
        self._closed = False
        #: Whether the current or last exchange tried to make a connection: it did not use one again.
        self.is_new = False

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Limit the exchange made inside. If its time runs out, it is cut off and `cut` becomes true.

        Raises `FailedError` if the host has no thread to watch it.
        """
        with self._lock:
            self._expired = self.is_new = False
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
        """Whether the exchange was cut off, or will be as soon as it starts."""
        return self._expired or self._closed

    @property
    def was_late(self) -> bool:
        """Whether the last exchange ran out of time after its connection was ready."""
        return self._expired and self.is_connected

    @property
    def is_connected(self) -> bool:
        """Whether the last exchange had a connection that was ready."""
        return self._socket is not None and not self._is_duplicate

    @property
    def left_s(self) -> float:
        """The time left for the current exchange; 0 if it must end."""
        with self._lock:
            if self._due is None or self.cut:
                return 0.0
            return max(0.0, self._due - time.monotonic())

    def connecting(self, sock: socket.socket) -> None:
        """Follow a socket before it is connected, and before TLS may wrap it.

        Wrapping detaches the descriptor from `sock`, so a duplicate of it is kept for cutting off.
        """
        self._follow(sock.dup(), is_duplicate=True)

    def connected(self, sock: socket.socket) -> None:
        """Follow a connected socket, which nothing will wrap any more."""
        # For TLS within TLS, follow the socket of the outer one.
        self._follow(getattr(sock, "socket", sock), is_duplicate=False)

    def failed(self) -> None:
        """Stop following a socket that could not be connected."""
        self._follow(None, is_duplicate=False)

    def close(self) -> None:
        """Cut off the current exchange and every later one."""
        self._closed = True
        self._shut_down()

    def _start_watching(self) -> None:
        """Start the thread. The caller holds the lock, so the thread waits until the limit is set."""
        try:
            Thread(target=self._watch, name="exchange", daemon=True).start()
        except RuntimeError as error:
            outcome = Outcome("this host has no thread to spare for a post", Fault.OURS)
            raise FailedError(outcome) from error
        self._is_watched = True

    def _watch(self) -> None:
        while (left := self._check_s()) is not None:
            time.sleep(left)

    def _check_s(self) -> float | None:
        """Cut off an overdue exchange. Return the seconds to the next check, or None to end."""
        with self._lock:
            left = 0.0 if self._due is None else self._due - time.monotonic()
            if left > 0:
                # An exchange that starts meanwhile is due later.
                return left
            self._is_watched = False
            if self._due is not None:
                self._expired = True
                self._shut_down()
        return None

    def _follow(self, sock: socket.socket | None, *, is_duplicate: bool) -> None:
        with self._lock:
            former, self._socket = (self._socket if self._is_duplicate else None), sock
            self._is_duplicate = is_duplicate
            if former is not None:
                former.close()
        if self.cut:
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    # Not with the method of a TLS socket: it drops its encryption first, so what
                    # another thread then sends would go out unencrypted.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Makes exchanges as `requests` does, over connections that a watchdog follows.

    `context` holds the certificates for TLS; None without TLS. Only a proxy gets the header
    `proxy_authorization`.
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
        """Make connections of our own classes."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - as inherited
        """Make connections to a proxy of our own classes, too."""
        options = {**options, "ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002 - as inherited
        """Return the headers for the proxy. The library would take them from its URL."""
        header = self._proxy_authorization
        return {"Proxy-Authorization": header} if header else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002
        """Leave it to the context: `requests` would also trust CAs of its own, and Debian's urllib3 the host's."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = conn.ca_cert_dir = None


class _Response(HTTPResponse):
    """The final answer, without the interim ones before it.

    An answer follows each status from 100 to 199 except 101, which we never request (RFC 9110,
    section 15.2). The library skips only 100, and would leave the answer to the next request.
    """

    def begin(self, **options: Any) -> None:  # noqa: ANN401 - as inherited
        file = self.fp
        head: Any = _Head(file)
        self.fp = head
        try:
            self._begin(**options)
        finally:
            if self.fp is head:  # the library has not closed it
                self.fp = file
        _drop_cookies(self.headers)

    def _begin(self, **options: Any) -> None:  # noqa: ANN401 - as inherited
        super().begin(**options)
        while 100 < self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            # Read the next answer. The watchdog limits a server that sends only interim ones.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin(**options)


class _Head:
    """The head of an answer. The library takes one that was cut off in it for complete.

    Then a status of success would count, although its sender may have died before the request was
    stored (RFC 9112, section 8).
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._began = False

    def readline(self, most: int) -> bytes:
        """Return the next line. Raises `IncompleteRead` if it is cut off."""
        line = self._file.readline(most)
        if not line.endswith(b"\n") and len(line) < most and (line or self._began):
            raise IncompleteRead(line)
        self._began = True
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _drop_cookies(headers: HTTPMessage) -> None:
    """Leave only the session's cookie in the headers of an answer, without its attributes.

    So no library parses or keeps the others, whatever their number and size.
    """
    cookies: list[str] = headers.get_all("Set-Cookie", [])
    del headers["Set-Cookie"]
    session = next(filter(None, map(_SESSION_COOKIE.match, cookies)), None)
    if session:
        headers["Set-Cookie"] = session[1]


def _pools(watchdog: ExchangeWatchdog) -> dict[str, type[HTTPConnectionPool]]:
    """Return the pools by scheme. Without TLS, the library's own https pool raises a clear error."""

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
            self.ssl_context = _with_address(self.ssl_context, self._tunnel_host or self.host)
            if self.proxy_config:
                outer = _with_address(self.proxy_config.ssl_context, self.host)
                self.proxy_config = self.proxy_config._replace(ssl_context=outer)
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


class _AddressContext:
    """A context that checks a certificate for the address of a server.

    urllib3 before 2.0 names no server to the context if its URL has an address, and Python then makes no
    connection, as it has nothing to compare with the certificate.
    """

    def __init__(self, context: Any, address: str) -> None:  # noqa: ANN401 - of the library or ours
        self.__dict__.update(_context=context, _address=address)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as in the context
        return getattr(self._context, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._context, name, value)

    def wrap_socket(self, sock: socket.socket, **options: Any) -> Any:  # noqa: ANN401 - as inherited
        """Make the connection to the address."""
        options["server_hostname"] = self._address
        return self._context.wrap_socket(sock, **options)

    def wrap_bio(self, *files: Any, **options: Any) -> Any:  # noqa: ANN401 - as inherited
        """Make the connection to the address, within another one."""
        options["server_hostname"] = self._address
        return self._context.wrap_bio(*files, **options)


def _with_address(context: Any, host: str) -> Any:  # noqa: ANN401 - of the library or ours
    """The context for a connection to `host`, which may be a name or an address."""
    if context is None or isinstance(context, _AddressContext):
        return context
    from urllib3.util.ssl_ import is_ipaddress  # noqa: PLC0415 - only where TLS was imported

    address = host.strip("[]")
    return _AddressContext(context, address.partition("%")[0]) if is_ipaddress(address) else context


@contextmanager
def _broken_pipes() -> Iterator[None]:
    """Raise the same error for a closed TLS connection as for a plain one.

    With TLS 1.3 a server refuses our certificate after the handshake, while we send. After a broken
    pipe, the library still reads the server's last message.
    """
    try:
        yield
    except OSError as error:
        if type(error).__name__ != "SSLEOFError":
            raise
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error

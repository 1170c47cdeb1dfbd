"""What is kept from one exchange to the next: connections and a cookie. What this host lacks for one."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.upload import exchange
from pattoo_mp.upload.exchange import MAX_IDLE_S
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.nat import ForgetfulNat
from tests.support.ports import at, free_port
from tests.support.raw import ACCEPTED, RawServer, answer, headers, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.raw import Talk

    Serve = Callable[[Talk], RawServer]

AGENT_ID = "a" * 64
BODY = b'{"some": "json"}'
#: What the issue's NAT remembers (s); no real one is known that forgets sooner.
NAT_S = 4.0
REFUSED = answer("500 no", b"no", "Set-Cookie: session=refused")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts raw servers; all end with the test."""
    running: list[RawServer] = []

    def start(talk: Talk) -> RawServer:
        running.append(RawServer(talk))
        return running[-1]

    yield start
    for server in running:
        server.close()


def to(server: RawServer) -> PattooTransport:
    """A transport to this server."""
    return PattooTransport(at(server.port))


def in_turn(*answers: bytes) -> Talk:
    """Answer requests with these, in turn."""
    left = iter(answers)
    return lambda connection, _: connection.sendall(next(left))


def with_cookies(*cookies: str, status: str = "200 OK") -> bytes:
    """An answer that sets cookies."""
    return answer(status, b"OK", *(f"Set-Cookie: {cookie}" for cookie in cookies))


def cookies_sent(server: RawServer) -> list[bytes]:
    """The cookies of all requests."""
    return [headers(request).get(b"cookie", b"") for request in server.requests]


# --- cookies


def test_only_the_sessions_cookie_is_kept(serve: Serve) -> None:
    """A balancer that sets a cookie of another name with each answer fills nothing."""
    answers = [with_cookies(f"b{n}=x; Path=/", "session=abc; HttpOnly; Path=/") for n in range(50)]
    server = serve(in_turn(*answers))
    transport = to(server)
    assert all(transport.post(AGENT_ID, BODY).delivered for _ in answers)
    assert set(cookies_sent(server)[1:]) == {b"session=abc"}


@pytest.mark.parametrize(
    "cookie", ["session=" + "x" * 4097, "session=" + "x" * 9000, "other=1", "session=a\tb"]
)
def test_a_large_or_unknown_cookie_is_not_kept(serve: Serve, cookie: str) -> None:
    """Behind a proxy with a limit of 8 kB, a cookie of 9 kB would lock the agent out."""
    server = serve(saying(with_cookies(cookie), close=False))
    transport = to(server)
    assert [transport.post(AGENT_ID, BODY).delivered for _ in range(2)] == [True, True]
    assert cookies_sent(server) == [b"", b""]


def test_many_large_cookies_take_no_memory(serve: Serve) -> None:
    """95 of 60 kB with each answer are 57 MB in ten posts."""
    flood = with_cookies(*(f"c{n}={'x' * 60_000}" for n in range(95)))
    transport = to(serve(saying(flood, close=False)))
    assert transport.post(AGENT_ID, BODY).delivered
    tracemalloc.start()
    try:
        assert all(transport.post(AGENT_ID, BODY).delivered for _ in range(10))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


@pytest.mark.parametrize("status", ["500 no", "200 Login", "302 Found", "404 no"])
def test_the_cookie_of_an_answer_that_is_not_ok_is_not_kept(serve: Serve, status: str) -> None:
    """It may come from anything on the way. The cookie of the last accepted answer stays."""
    portal = answer(status, b"page", "Set-Cookie: session=portal")
    server = serve(in_turn(portal, with_cookies("session=ours"), portal, ACCEPTED))
    transport = to(server)
    for _ in range(4):
        transport.post(AGENT_ID, BODY)
    assert cookies_sent(server) == [b"", b"", b"session=ours", b"session=ours"]


@pytest.mark.parametrize("status", ["400 Bad Request", "431 Too Large"])
def test_a_request_that_is_too_large_clears_the_cookie(serve: Serve, status: str) -> None:
    """A proxy answers so if the headers are too large for it."""
    server = serve(in_turn(with_cookies("session=abc"), answer(status), ACCEPTED))
    transport = to(server)
    assert [transport.post(AGENT_ID, BODY).delivered for _ in range(3)] == [True, False, True]
    assert cookies_sent(server) == [b"", b"session=abc", b""]


# --- connections


def test_a_nat_that_forgets_idle_connections_delays_no_post(serve: Serve) -> None:
    """A post after a longer idle time goes over a new connection, also if the NAT tells nothing."""
    server = serve(saying(ACCEPTED, close=False))
    nat = ForgetfulNat(server.port, NAT_S)
    transport = PattooTransport(at(nat.port), exchange_s=10)
    try:
        assert transport.post(AGENT_ID, BODY).delivered
        time.sleep(NAT_S + 0.2)
        outcomes = [transport.post(AGENT_ID, BODY) for _ in range(2)]
    finally:
        nat.close()
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert nat.forgotten == 0
    assert MAX_IDLE_S < NAT_S


def test_rare_posts_keep_no_connection_open(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to keep it alive, and no server has to hold it."""
    monkeypatch.setattr("pattoo_mp.upload.http_client.MAX_IDLE_S", 0.0)
    server = serve(saying(ACCEPTED, close=False))
    transport = to(server)
    assert all(transport.post(AGENT_ID, BODY).delivered for _ in range(3))
    assert server.connections == 3


def test_the_kernel_keeps_a_connection_alive(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a NAT does not forget it while a server takes its time to answer."""
    made: list[socket.socket] = []
    connect = exchange.connect

    def noting(*args: object) -> socket.socket:
        made.append(connect(*args))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(exchange, "connect", noting)
    transport = to(serve(saying(ACCEPTED, close=False)))
    assert transport.post(AGENT_ID, BODY).delivered
    (sock,) = made
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < NAT_S
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) < NAT_S


def test_a_used_connection_that_fails_at_once_is_no_failure(serve: Serve) -> None:
    """The server closes it without an answer to the second post, which goes over a new one."""

    def once(connection: socket.socket, _: bytes) -> None:
        if len(server.requests) == 2:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(ACCEPTED)

    server = serve(once)
    transport = to(server)
    assert [transport.post(AGENT_ID, BODY).error for _ in range(3)] == ["", "", ""]
    assert (len(server.requests), server.connections) == (4, 2)


def test_a_new_connection_that_fails_is_not_tried_again(serve: Serve) -> None:
    """That is a failure of the server. After a used one, a single new one is made."""

    def only_first(connection: socket.socket, _: bytes) -> None:
        if len(server.requests) == 1:
            connection.sendall(ACCEPTED)
        else:
            connection.shutdown(socket.SHUT_RDWR)

    server = serve(only_first)
    transport = to(server)
    assert transport.post(AGENT_ID, BODY).delivered
    assert not transport.post(AGENT_ID, BODY).delivered
    assert len(server.requests) == 3
    outcome = transport.post(AGENT_ID, BODY)
    assert len(server.requests) == 4
    assert (outcome.fault, outcome.reached) == (Fault.UNREACHABLE, True)


# --- what this host lacks


#: In a process of its own: here, threads of other tests close files at any time.
_WITHOUT_DESCRIPTORS = """
import os, resource, sys
from pattoo_mp.upload.pattoo.transport import PattooTransport

transport = PattooTransport(sys.argv[1])
transport.post("a", b"{}")  # imports, and reads what is read once
left = os.open(os.devnull, os.O_RDONLY)
os.close(left)
resource.setrlimit(resource.RLIMIT_NOFILE, (left, 4096))
outcome = transport.post("a", b"{}")
print(outcome.fault.name, outcome.error)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
print(transport.post("a", b"{}").fault.name)
"""


@pytest.mark.parametrize(
    ("host", "otherwise"), [("127.0.0.1", "UNREACHABLE"), ("no-such-host.invalid", "NO_NAME")]
)
def test_a_lack_of_descriptors_is_this_hosts_trouble(host: str, otherwise: str) -> None:
    """Also if the resolver says that there is no such name. Then posts go on."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DESCRIPTORS, f"http://{host}:{free_port()}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("OURS the agent has no file descriptor left")
    assert "LimitNOFILE" in first
    assert second == otherwise


@pytest.mark.parametrize(
    ("number", "fault", "words"),
    [
        (errno.EMFILE, Fault.OURS, "ulimit -n"),
        (errno.ENFILE, Fault.OURS, "fs.file-max"),
        (errno.ENOMEM, Fault.OURS, "no memory"),
        (errno.ENOBUFS, Fault.OURS, "no memory"),
        (errno.EADDRNOTAVAIL, Fault.NO_ROUTE, "ip_local_port_range"),
        (errno.ENETUNREACH, Fault.NO_ROUTE, "ip route"),
        (errno.ENETDOWN, Fault.NO_ROUTE, "ip link"),
        (errno.EAFNOSUPPORT, Fault.NO_ROUTE, "IPv6"),
        (errno.EHOSTUNREACH, Fault.UNREACHABLE, "No route to host"),
        (errno.ECONNREFUSED, Fault.UNREACHABLE, "Connection refused"),
    ],
)
def test_what_this_host_lacks_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: int, fault: Fault, words: str
) -> None:
    """And what others say, such as that a host does not answer, is not among it."""

    class Lacking(socket.socket):
        def connect(self, _: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pattoo_mp.upload.exchange.socket.socket", Lacking)
    outcome = PattooTransport(at(free_port())).post(AGENT_ID, BODY)
    assert outcome.fault is fault, outcome.error
    assert words in outcome.error
    assert not outcome.reached


def test_the_servers_refusal_counts_more_than_a_missing_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name with an IPv6 address, on a host without IPv6: its server is down."""
    port = free_port()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port)),
    ]
    monkeypatch.setattr("pattoo_mp.upload.exchange.socket.getaddrinfo", lambda *_: found)
    outcome = PattooTransport(f"http://name.example.org:{port}").post(AGENT_ID, BODY)
    assert (outcome.error, outcome.fault) == ("Connection refused", Fault.UNREACHABLE)


# --- an IPv6 address with a zone


def link_local() -> tuple[str, str]:
    """Return a link-local address of this host, and its interface. Skip the test if there is none."""
    with open("/proc/net/if_inet6", encoding="ascii") as file:  # noqa: PTH123 - not a path of ours
        for line in file:
            digits, _, _, scope, _, name = line.split()
            if scope == "20":
                return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), name
    pytest.skip("this host has no link-local IPv6 address")


def test_an_address_with_a_zone_is_connected_to() -> None:
    """As its URL is written in a configuration."""
    address, name = link_local()
    server = RawServer(saying(ACCEPTED), "::")
    try:
        url = f"http://[{address}%25{name}]:{server.port}"
        assert PattooTransport(url).post(AGENT_ID, BODY).error == ""
    finally:
        server.close()


def test_a_link_local_address_without_a_zone_is_named() -> None:
    """The kernel only says that an argument is invalid. No advice is about the server."""
    link_local()
    outcome = PattooTransport("http://[fe80::1]:1").post(AGENT_ID, BODY)
    assert outcome.fault is Fault.NO_ROUTE
    assert "link-local and has no zone" in outcome.error


@pytest.mark.parametrize("address", ["::1%25lo", "2001:db8::1%25lo"])
def test_an_address_that_takes_no_zone_is_named(address: str) -> None:
    """The interface may exist."""
    outcome = PattooTransport(f"http://[{address}]:1").post(AGENT_ID, BODY)
    assert outcome.fault is Fault.NO_ROUTE
    assert "takes no zone" in outcome.error


def test_a_zone_that_this_host_does_not_have_is_named() -> None:
    """It is no trouble of a name server."""
    outcome = PattooTransport("http://[fe80::1%25nosuch]:1").post(AGENT_ID, BODY)
    assert outcome.fault is Fault.NO_ROUTE
    assert "no such network interface" in outcome.error

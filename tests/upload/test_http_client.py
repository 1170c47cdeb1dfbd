"""Single posts to servers of all kinds, over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.config.values import url
from pattoo_mp.upload.answer import Outcome
from pattoo_mp.upload.exchange import ADDRESS_S
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.support.ports import at, dropping_port, free_port
from tests.support.raw import ACCEPTED, RawServer, answer, headers, saying
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.raw import Talk

    Serve = Callable[..., RawServer]

AGENT_ID = "a" * 64
BODY = b'{"some": "json"}'
#: The header of a server that closes the connection after its answer.
LAST = "Connection: close"
#: The time limit of exchanges in tests of it, and the most time that an exchange may take.
SHORT_S = 0.5
DEADLINE_S = 20.0


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts raw servers; all end with the test."""
    running: list[RawServer] = []

    def start(talk: Talk, host: str = "127.0.0.1") -> RawServer:
        running.append(RawServer(talk, host))
        return running[-1]

    yield start
    for server in running:
        server.close()


def post(server: RawServer, exchange_s: float = DEADLINE_S) -> Outcome:
    """Post once."""
    return PattooTransport(at(server.port), exchange_s=exchange_s).post(AGENT_ID, BODY)


# --- accepted


def test_200_and_ok_is_delivered(serve: Serve) -> None:
    """The answer of a pattoo server that accepts a post."""
    outcome = post(serve(saying(ACCEPTED)))
    assert outcome == Outcome("")
    assert outcome.delivered


@pytest.mark.parametrize("body", [b"OK\n", b" OK "])
def test_space_around_ok_does_not_matter(serve: Serve, body: bytes) -> None:
    """A proxy may add a line end."""
    assert post(serve(saying(answer("200 OK", body)))).delivered


def test_an_answer_without_a_length_is_accepted(serve: Serve) -> None:
    """It ends with the connection."""
    assert post(serve(saying(b"HTTP/1.0 200 OK\r\n\r\nOK"))).delivered


def test_a_chunked_answer_is_accepted(serve: Serve) -> None:
    """A proxy may send the answer in chunks."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nO\r\n1\r\nK\r\n0\r\n\r\n"
    assert post(serve(saying(chunked))).delivered


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
@pytest.mark.parametrize("times", [1, 50])
def test_interim_answers_are_skipped(serve: Serve, status: str, times: int) -> None:
    """A proxy may send some; the answer that follows counts, and only for this post."""
    before = f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode() * times
    answers = iter([before + ACCEPTED, answer("500 no"), before + ACCEPTED])
    server = serve(lambda connection, _: connection.sendall(next(answers)))
    transport = PattooTransport(at(server.port), exchange_s=DEADLINE_S)
    assert [transport.post(AGENT_ID, BODY).delivered for _ in range(3)] == [True, False, True]
    assert server.connections == 1


def test_switching_protocols_is_not_an_answer(serve: Serve) -> None:
    """We never request another protocol, and no answer follows this one."""
    outcome = post(serve(saying(answer("101 Switching Protocols"))))
    assert outcome.error.startswith("status 101 Switching Protocols")


def test_the_request_is_what_a_pattoo_server_expects(serve: Serve) -> None:
    """POST, the agent's id in the URL, the type of JSON, the body unchanged."""
    server = serve(saying(ACCEPTED))
    assert post(server).delivered
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == (
        b"POST /pattoo/api/v1/agent/receive/" + AGENT_ID.encode() + b" HTTP/1.1"
    )
    assert headers(request)[b"content-type"] == b"application/json"
    assert headers(request)[b"content-length"] == str(len(BODY)).encode()
    assert body == BODY


def test_a_large_body_arrives_whole(serve: Serve) -> None:
    """One larger than any buffer on the way."""
    server = serve(saying(ACCEPTED))
    body = bytes(range(256)) * 20_000
    assert PattooTransport(at(server.port)).post(AGENT_ID, body).delivered
    assert server.requests[0].endswith(body)


def test_a_cookie_is_sent_back(serve: Serve) -> None:
    """With its session's cookie, a pattoo server answers three times faster."""
    server = serve(saying(answer("200 OK", b"OK", "Set-Cookie: session=abc; Path=/", LAST)))
    transport = PattooTransport(at(server.port))
    assert transport.post(AGENT_ID, BODY).delivered
    assert transport.post(AGENT_ID, BODY).delivered
    first, second = map(headers, server.requests)
    assert b"cookie" not in first
    assert second[b"cookie"] == b"session=abc"


def test_one_connection_serves_several_posts(serve: Serve) -> None:
    """If the server keeps the connection open, it is used again."""
    server = serve(saying(ACCEPTED, close=False))
    transport = PattooTransport(at(server.port))
    for _ in range(3):
        assert transport.post(AGENT_ID, BODY).delivered
    assert (len(server.requests), server.connections) == (3, 1)


def test_a_server_that_closes_is_connected_to_again(serve: Serve) -> None:
    """A pattoo server closes after each answer."""
    server = serve(saying(answer("200 OK", b"OK", LAST)))
    transport = PattooTransport(at(server.port))
    for _ in range(3):
        assert transport.post(AGENT_ID, BODY).delivered
    assert server.connections == 3


def test_an_ipv6_address_works(serve: Serve) -> None:
    """The URL has it in brackets."""
    try:
        server = serve(saying(ACCEPTED), "::1")
    except OSError as error:
        pytest.skip(f"this host has no IPv6: {error}")
    transport = PattooTransport(url("::1", server.port))
    assert transport.url == f"http://[::1]:{server.port}/pattoo/api/v1/agent/receive/"
    assert transport.post(AGENT_ID, BODY).delivered


# --- answered, not accepted


@pytest.mark.parametrize(
    "body",
    [b"", b"no", b"OKAY", b"<html>Log in first</html>", b"\xff\xfe", b"O", b"K" * 4096],
)
def test_200_with_another_body_is_not_delivered(serve: Serve, body: bytes) -> None:
    """A captive portal answers 200, too."""
    outcome = post(serve(saying(answer("200 OK", body))))
    assert outcome.error.startswith("status 200 with")
    assert outcome.error.endswith("expected OK from pattoo")
    assert len(outcome.error) < 400
    assert outcome.error.isprintable()


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_an_endless_body_is_not_read(serve: Serve, status: str) -> None:
    """A few kB are enough to tell that this is not pattoo."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        while True:
            connection.sendall(b"OK" * 1000)

    assert post(serve(talk)).error == (f"status {status[:3]} with a page; expected OK from pattoo")


@pytest.mark.parametrize(
    "status",
    ["404 NOT FOUND", "500 INTERNAL SERVER ERROR", "503 Service Unavailable", "201 Created",
     "204 No Content", "400 Bad Request", "413 Too Large", "429 Too Many Requests"],
)  # fmt: skip
def test_another_status_is_named(serve: Serve, status: str) -> None:
    """Whatever the body says, only 200 means accepted."""
    body = b"" if status.startswith("204") else b"OK"
    outcome = post(serve(saying(answer(status, body))))
    assert outcome.error == f"status {status}: {body.decode()!r}"


def test_a_servers_reason_is_one_short_line(serve: Serve) -> None:
    """It goes to the log and to terminals, so it has no control characters, and is cut."""
    outcome = post(serve(saying(answer("500 \x1b[31mred" + "x" * 5000))))
    assert outcome.error.startswith("status 500 [31mred")
    assert outcome.error.isprintable()
    assert len(outcome.error) < 200


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(serve: Serve, status: str) -> None:
    """It does not come from pattoo, and the data is not for its target."""
    elsewhere = serve(saying(ACCEPTED))
    location = f"Location: http://127.0.0.1:{elsewhere.port}/"
    outcome = post(serve(saying(answer(status, b"", location))))
    assert outcome.error.startswith(f"status {status} to 'http://127.0.0.1:{elsewhere.port}/'")
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", ["302 Found", "308 Permanent"])
def test_the_endless_body_of_a_redirect_is_not_read(serve: Serve, status: str) -> None:
    """A library that follows redirects first reads the whole body."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nLocation: /elsewhere\r\n\r\n".encode())
        while True:
            connection.sendall(b"x" * 1000)

    error = post(serve(talk)).error
    assert error == f"status {status[:3]} to '/elsewhere' with a page; expected OK from pattoo"


def test_retry_after_is_in_the_outcome(serve: Serve) -> None:
    """Whether the server sent the header, or a proxy in front of it."""
    busy = answer("503 Service Unavailable", b"", "Retry-After: 17")
    assert post(serve(saying(busy))).retry_after_s == 17


# --- the status page


PAGE = answer("200 OK", b"The Pattoo Agent API is Operational.")


def is_healthy(server: RawServer, exchange_s: float = DEADLINE_S) -> bool:
    """Ask once."""
    return PattooTransport(at(server.port), exchange_s=exchange_s).is_healthy()


def test_a_server_whose_status_page_says_so_is_healthy(serve: Serve) -> None:
    """The page is requested with GET."""
    server = serve(saying(PAGE))
    assert is_healthy(server)
    assert server.requests[0].startswith(b"GET /pattoo/api/v1/agent/status HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "said",
    [answer("500 no", b"The Pattoo Agent API is Operational."), answer("200 OK", b"OK"),
     answer("200 OK", b"<html>"), PAGE[:-1], b"garbage", b"", answer("404 NOT FOUND", b"")],
)  # fmt: skip
def test_a_server_that_says_anything_else_is_not_healthy(serve: Serve, said: bytes) -> None:
    """Anything but a clear yes counts as no."""
    assert not is_healthy(serve(saying(said)))


def test_an_unreachable_server_is_not_healthy() -> None:
    """Nothing listens there."""
    assert not PattooTransport(at(free_port())).is_healthy()


def test_a_redirected_status_page_is_not_requested(serve: Serve) -> None:
    """Redirects are not followed here either."""
    elsewhere = serve(saying(PAGE))
    location = f"Location: http://127.0.0.1:{elsewhere.port}/"
    assert not is_healthy(serve(saying(answer("302 Found", b"", location))))
    assert elsewhere.connections == 0


def test_an_endless_status_page_is_not_read(serve: Serve) -> None:
    """It is cut off, and does not count."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 1000)

    assert not is_healthy(serve(talk))


def test_a_dripping_status_page_is_limited_in_time(serve: Serve) -> None:
    """It has the same time limit as a post."""
    began = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\n\r\nThe Pattoo Agent API is Operational."
    assert not is_healthy(serve(dripping(head, b" ")), SHORT_S)
    assert time.monotonic() - began < DEADLINE_S


# --- not answered


@pytest.mark.parametrize(
    "garbage",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"\n" * 3, b"HTTP/9 x y\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nOK",
     b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\nNO"],
)  # fmt: skip
def test_garbage_is_an_error(serve: Serve, garbage: bytes) -> None:
    """Something else listens there; the error says what, in one line."""
    outcome = post(serve(saying(garbage)))
    assert not outcome.delivered
    assert outcome.error.isprintable()


@pytest.mark.parametrize(
    "part",
    [b"", b"HTTP/1.1 2", ACCEPTED[:-20], ACCEPTED[:-2], ACCEPTED[:-1],
     b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nOK",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n"],
)  # fmt: skip
def test_half_an_answer_is_an_error(serve: Serve, part: bytes) -> None:
    """Even `OK` is not enough if more was announced."""
    outcome = post(serve(saying(part)))
    assert not outcome.delivered
    assert not part or "the connection ended in the middle of" in outcome.error


def test_a_reset_connection_is_an_error(serve: Serve) -> None:
    """The error is the system's message."""

    def reset(connection: socket.socket, _: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    assert post(serve(reset)).error == "Connection reset by peer"


def test_a_refused_connection_is_an_error() -> None:
    """The error is the innermost reason, without the library's wrapping."""
    assert PattooTransport(at(free_port())).post(AGENT_ID, BODY).error == "Connection refused"


def test_an_unknown_name_is_an_error() -> None:
    """The error is the resolver's message."""
    with pytest.raises(socket.gaierror) as known:
        socket.getaddrinfo("no-such-host.invalid", 80)
    outcome = PattooTransport("http://no-such-host.invalid").post(AGENT_ID, BODY)
    assert outcome.error == known.value.strerror


def test_an_error_does_not_affect_the_next_post(serve: Serve) -> None:
    """Nothing left from one exchange reaches the next."""
    answers = iter([ACCEPTED[:-1], b"garbage\r\n\r\n", answer("500 no", b"x" * 9000), ACCEPTED])

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(next(answers))
        connection.shutdown(socket.SHUT_RDWR)

    transport = PattooTransport(at(serve(talk).port))
    delivered = [transport.post(AGENT_ID, BODY).delivered for _ in range(4)]
    assert delivered == [False, False, False, True]


# --- too slow


def dripping(head: bytes, drop: bytes) -> Talk:
    """Send `head`, then `drop` again and again, faster than the time-out of a single read."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            time.sleep(0.02)  # the pace of this server, not a wait of the test

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(dripping(b"", b""), id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"O"), id="body"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO", b""), id="last byte"),
        pytest.param(dripping(b"", b"H"), id="status line"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"), id="one header"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), id="headers"),
        pytest.param(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="continue"),
        pytest.param(dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), id="processing"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nO\r\n"),
            id="chunks",
        ),
    ],
)  # fmt: skip
def test_a_whole_exchange_is_limited_in_time(serve: Serve, talk: Talk) -> None:
    """A server that drips cannot hold the client longer, whatever it drips."""
    began = time.monotonic()
    assert post(serve(talk), SHORT_S).error == "no complete answer within 0.5 s"
    assert time.monotonic() - began < DEADLINE_S


def test_sending_is_limited_in_time() -> None:
    """To a server that does not read."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        transport = PattooTransport(at(deaf.getsockname()[1]), exchange_s=SHORT_S)
        outcome = transport.post(AGENT_ID, b"x" * (64 << 20))
    assert outcome == Outcome("no complete answer within 0.5 s", Fault.LATE, reached=True)
    assert time.monotonic() - began < DEADLINE_S


@pytest.fixture
def dropping() -> Iterator[int]:
    """The port of a server behind a firewall that drops packets."""
    with dropping_port() as port:
        yield port


def resolve(monkeypatch: pytest.MonkeyPatch, *ports: int) -> str:
    """Return a URL whose name resolves to these ports of this host, in order."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    found = [(*kind, ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    return "http://many.invalid"


def test_many_addresses_that_drop_share_one_time_limit(
    monkeypatch: pytest.MonkeyPatch, dropping: int
) -> None:
    """They do not get one each."""
    many = resolve(monkeypatch, *[dropping] * 40)
    began = time.monotonic()
    assert PattooTransport(many, exchange_s=SHORT_S).post(AGENT_ID, BODY).fault is Fault.LATE
    assert time.monotonic() - began < 40 * SHORT_S / 2


def test_an_address_that_drops_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, dropping: int
) -> None:
    """For example a dead IPv6 address before one of IPv4."""
    two = resolve(monkeypatch, dropping, serve(saying(ACCEPTED)).port)
    assert PattooTransport(two, exchange_s=3 * SHORT_S).post(AGENT_ID, BODY).delivered


def test_an_address_that_refuses_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    """At once. If all refuse, the error is that of the last one."""
    server, nobody = serve(saying(ACCEPTED)), free_port()
    both = resolve(monkeypatch, nobody, server.port)
    assert PattooTransport(both, exchange_s=DEADLINE_S).post(AGENT_ID, BODY).delivered
    none = resolve(monkeypatch, nobody, nobody)
    assert (
        PattooTransport(none, exchange_s=DEADLINE_S).post(AGENT_ID, BODY).error
        == "Connection refused"
    )


def test_half_of_ok_is_not_delivered_when_the_time_is_up(serve: Serve) -> None:
    """A connection that is cut off looks like the end of an answer without a length."""
    talk = dripping(b"HTTP/1.0 200 OK\r\n\r\nOK", b"")
    assert not post(serve(talk), SHORT_S).delivered


def test_a_post_after_one_that_was_cut_off_is_delivered(serve: Serve) -> None:
    """Each exchange has its own time limit."""
    silent = threading.Event()
    silent.set()

    def talk(connection: socket.socket, _: bytes) -> None:
        if silent.is_set():
            wait_for(lambda: not silent.is_set())
        else:
            connection.sendall(ACCEPTED)

    transport = PattooTransport(at(serve(talk).port), exchange_s=SHORT_S)
    assert not transport.post(AGENT_ID, BODY).delivered
    silent.clear()
    wait_for(lambda: transport.post(AGENT_ID, BODY).delivered, what="a post in time")


# --- the end


def hanging(connection: socket.socket, _: bytes) -> None:
    """Send nothing until the client leaves."""
    connection.recv(1)


def test_close_ends_a_hanging_post(serve: Serve) -> None:
    """Another thread can end an exchange at once; the post is not delivered."""
    server = serve(hanging)
    transport = PattooTransport(at(server.port), exchange_s=600)
    outcomes: list[Outcome] = []
    posting = threading.Thread(target=lambda: outcomes.append(transport.post(AGENT_ID, BODY)))
    posting.start()
    wait_for(lambda: server.requests, what="the post")
    transport.close()
    posting.join(DEADLINE_S)
    assert not posting.is_alive()
    assert not outcomes[0].delivered
    assert not outcomes[0].reached  # so its size is not to blame


def test_close_ends_a_post_that_is_connecting(
    monkeypatch: pytest.MonkeyPatch, dropping: int
) -> None:
    """It neither waits for an address nor tries another one."""
    transport = PattooTransport(resolve(monkeypatch, dropping, dropping), exchange_s=600)
    connecting = threading.Event()
    connect = socket.socket.connect

    def noted(sock: socket.socket, address: tuple[str, int]) -> None:
        connecting.set()
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    posting = threading.Thread(target=transport.post, args=(AGENT_ID, BODY))
    posting.start()
    assert connecting.wait(DEADLINE_S)

    def is_over() -> bool:
        transport.close()  # again, in case it came just before the connection was started
        return not posting.is_alive()

    wait_for(is_over, ADDRESS_S / 2, "the end of the post")


def test_a_post_after_close_ends_at_once(serve: Serve) -> None:
    """Closing between two posts also ends the second."""
    transport = PattooTransport(at(serve(saying(ACCEPTED)).port), exchange_s=600)
    transport.close()
    assert not transport.post(AGENT_ID, BODY).delivered


def test_a_host_without_a_spare_thread_is_a_separate_fault(serve: Serve) -> None:
    """Nothing is sent without a time limit. With a thread, the same transport posts again."""
    server = serve(saying(ACCEPTED))
    transport = PattooTransport(at(server.port))
    before = threading.stack_size(1 << 46)  # more than the address space
    try:
        outcome = transport.post(AGENT_ID, BODY)
        page = transport.ask_status()
    finally:
        threading.stack_size(before)
    assert outcome == Outcome("this host has no thread to spare for a post", Fault.OURS)
    assert page.error == outcome.error
    assert server.connections == 0
    assert transport.post(AGENT_ID, BODY).delivered

"""Requests from bytes, and answers to bytes: pure."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from pattoo_mp.upload.pull.http import (
    BODY_BYTES,
    HEAD_BYTES,
    LINE_BYTES,
    Answer,
    RefusedError,
    Request,
    take,
)

HOST = b"Host: spoke\r\n"


def taken(content: bytes) -> Request | None:
    """The request in these bytes."""
    return take(bytearray(content))


def refusal(content: bytes) -> tuple[int, bool]:
    """The status with which these bytes are refused, and whether the connection ends."""
    with pytest.raises(RefusedError) as caught:
        taken(content)
    return caught.value.answer.status, caught.value.answer.closes


def test_requests_that_follow_one_another_are_taken_one_by_one() -> None:
    """With what they are made of; what comes later stays in the buffer."""
    first = b"GET /a?b=c&d= HTTP/1.1\r\nHost: spoke\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n"
    second = b"POST /x HTTP/1.1\r\nhost:spoke\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    buffer = bytearray(b"\r\n" + first + second + b"GET /th")
    one, two = take(buffer), take(buffer)
    assert one is not None
    assert two is not None
    assert (one.method, one.path, one.parameters()) == ("GET", "/a", {"b": "c", "d": ""})
    assert one.accepts("gzip")
    assert not one.accepts("zstd")
    assert one.keep_alive
    assert (two.method, two.body, two.keep_alive) == ("POST", b"{}", False)
    assert take(buffer) is None
    assert buffer == b"GET /th"


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_request_is_taken_once_it_is_whole(cut: int) -> None:
    """Wherever it was cut."""
    whole = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
    buffer = bytearray(whole[:cut])
    assert take(buffer) is None
    buffer += whole[cut:]
    request = take(buffer)
    assert request is not None
    assert request.body == b"0123456789"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"\r\n" * 2000, 400),
        (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\n" + b"Host: a\n\n\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"folded: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a : b\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n", 417),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES + 1), 413),
        (b"GET /" + b"a" * LINE_BYTES, 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * HEAD_BYTES, 431),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(content: bytes, status: int) -> None:
    """With a status that says what is wrong."""
    assert refusal(content) == (status, True)


def test_proxies_may_send_a_whole_url() -> None:
    """Its path counts."""
    request = taken(b"GET http://spoke:5000/metrics?a=1 HTTP/1.1\r\n" + HOST + b"\r\n")
    assert request is not None
    assert (request.path, request.query) == ("/metrics", "a=1")


def test_an_old_client_gets_its_answer_and_no_further_one() -> None:
    """HTTP/1.0 without keep-alive, and without Host."""
    request = taken(b"GET / HTTP/1.0\r\n\r\n")
    assert request is not None
    assert not request.keep_alive


@pytest.mark.parametrize("query", ["a=1&a=2", "a", "&".join(f"p{n}=1" for n in range(20))])
def test_a_query_that_can_be_understood_in_two_ways_is_refused(query: str) -> None:
    """The connection goes on."""
    with pytest.raises(RefusedError) as caught:
        Request("GET", "/", query).parameters()
    assert (caught.value.answer.status, caught.value.answer.closes) == (400, False)


def test_an_answer_says_how_long_it_is() -> None:
    """A HEAD gets the same without the body, and a 204 has neither."""
    answer = Answer(HTTPStatus.OK, b"text", "text/plain")
    head, _, body = answer.packed().partition(b"\r\n\r\n")
    assert body == b"text"
    assert b"Content-Length: 4" in head.split(b"\r\n")
    assert b"Connection: close" not in head
    assert answer.packed(with_body=False).endswith(b"\r\n\r\n")
    assert b"Content-Length" not in Answer(HTTPStatus.NO_CONTENT).packed()
    assert b"Connection: close" in answer.packed(keep_alive=False)

"""Answers of servers and of anything in their place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.answer import MAX_RETRY_AFTER_S, Answer, http_date, retry_after_s
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.answer import post_outcome, status_page
from pattoo_mp.upload.pattoo.encrypted.known import KnownServers
from pattoo_mp.upload.pattoo.encrypted.session import Offer, _offer
from pattoo_mp.upload.pattoo.transport import PattooTransport
from tests.fuzz.drawing import JSON, TOKENS, bounded, fuzz, mutated
from tests.support.ports import at
from tests.support.raw import RawServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DATES = (
    b"Mon, 30 Nov 2026 08:00:00 GMT",
    b"120",
    b"Monday, 30-Nov-26 08:00:00 GMT",
    b"-1 Jan 1 00:00",
)
OFFER = json.dumps({"api_email": "a@b", "api_key": "-----BEGIN", "encrypted_nonce": "x"}).encode()
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: session=abc; Path=/\r\n\r\nOK",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nDate: Mon, 30 Nov 2026 08:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nThe Pattoo Agent API is Operational.",
)  # fmt: skip
HEADERS = st.none() | mutated(DATES).map(lambda text: text.decode("latin-1"))


@fuzz
@given(HEADERS)
def test_a_header_of_time_gives_a_time_or_nothing(header: str | None) -> None:
    """Retry-After is at most ten minutes, whatever it says; a date is in UTC."""
    with bounded():
        assert 0 <= retry_after_s(header, NOW) <= MAX_RETRY_AFTER_S
        moment = http_date(header)
    assert moment is None or moment.tzinfo is UTC


@fuzz
@given(
    st.integers(-1, 999), mutated((b"OK", b"Busy")), mutated((b"OK", OFFER, b"<html>")), HEADERS, st.booleans()
)  # fmt: skip
def test_an_answer_is_accepted_or_described_in_one_line(
    status: int, reason: bytes, body: bytes, header: str | None, is_quotable: bool
) -> None:
    """In few and printable characters, with a fault."""
    phrase = reason.decode("latin-1")
    answer = Answer(status, phrase, body[:4097], header, header, is_quotable, header, header or "")
    with bounded():
        outcome, page = post_outcome(answer), status_page(answer)
    assert outcome.delivered == (status == 200 and body.strip() == b"OK")
    assert outcome.error.isprintable()
    assert page.error.isprintable()
    assert len(outcome.error) < 700
    assert isinstance(outcome.fault, Fault)


@fuzz
@given(mutated((OFFER,)) | JSON.map(lambda content: json.dumps(content).encode()))
def test_a_key_offer_is_taken_or_not(body: bytes) -> None:
    """Nothing is raised, however deep or long it is."""
    with bounded():
        offer = _offer(Answer(200, "OK", body))
    assert offer is None or isinstance(offer, Offer)


class Server:
    """A server that answers with given bytes, and a transport to it."""

    def __init__(self) -> None:
        self.answer = b""
        self._raw = RawServer(self._talk)
        self.transport = PattooTransport(at(self._raw.port), exchange_s=20)

    def _talk(self, connection: socket.socket, _: bytes) -> None:
        connection.sendall(self.answer)
        connection.close()

    @property
    def requests(self) -> list[bytes]:
        """What it was sent."""
        return self._raw.requests

    def close(self) -> None:
        """End both."""
        self.transport.close()
        self._raw.close()


@pytest.fixture
def hostile() -> Iterator[Server]:
    """A server under our control."""
    running = Server()
    yield running
    running.close()


@fuzz
@given(answer=mutated(ANSWERS))
def test_bytes_in_place_of_an_answer_give_an_outcome(hostile: Server, answer: bytes) -> None:
    """A post succeeds or fails with a printable line, and what the server leaves behind stays small."""
    hostile.answer = answer
    hostile.requests.clear()
    with bounded():
        outcome = hostile.transport.post("a" * 64, b"{}")
        page = hostile.transport.ask_status()
    assert (outcome.error + page.error).isprintable()
    assert len(outcome.error) < 1000
    assert all(len(request) < 5000 for request in hostile.requests)


@fuzz
@given(
    lines=st.lists(
        st.builds(
            lambda name, value: name + b": " + value,
            st.sampled_from(
                (b"Set-Cookie", b"Retry-After", b"Date", b"Location", b"Connection", b"X")
            ),
            st.sampled_from((*TOKENS, b"session=abc; Path=/", b"session=" + b"c" * 9000, *DATES)),
        ),
        max_size=95,
    )
)
def test_any_headers_leave_no_more_than_one_small_cookie(
    hostile: Server, lines: list[bytes]
) -> None:
    """Also those of an answer that was accepted."""
    hostile.answer = b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: 2", *lines, b"", b"OK"])
    hostile.requests.clear()
    with bounded():
        outcome = hostile.transport.post("a" * 64, b"{}")
        hostile.transport.post("a" * 64, b"{}")
    assert outcome.error.isprintable()
    assert all(len(request) < 5000 for request in hostile.requests)


@fuzz
@given(content=mutated((b"http://one/ " + b"A0" * 20 + b"\nhttp://two/ " + b"0B" * 20 + b"\n",)))
def test_known_servers_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """A line that cannot be read is an error, never skipped."""
    path = tmp_path / "known"
    path.write_bytes(content)
    with bounded():
        try:
            known = KnownServers(path).all()
        except KeyringError as error:
            assert len(str(error)) < 600 + len(str(path))  # noqa: PT017
        else:
            assert all(len(fingerprint) in {40, 64} for fingerprint in known.values())

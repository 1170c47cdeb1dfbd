"""What follows from the answers of a receiver, with a server that gives each of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import snappy

from pattoo_mp.model import Poll, now_ms
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.remote_write.message import varint
from tests.support.between import Between, Reply
from tests.support.ports import at, free_port
from tests.support.raw import RawServer, saying
from tests.upload.remote_write.sending import LAYOUT, Sending, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIMIR = b"""failed pushing to ingester: user=anonymous: the sample has been rejected because another sample \
with a more recent timestamp has already been ingested (err-mimir-sample-out-of-order). The affected \
sample has timestamp 2026-01-01T00:00:00Z and is from series pattoo_load"""


@pytest.fixture
def taking() -> Iterator[Between]:
    """A receiver that takes everything until a test says otherwise."""
    running = Between()
    yield running
    running.close()


def test_the_headers_are_those_of_the_protocol(tmp_path: Path, taking: Between) -> None:
    """Beside them the user's own, which cannot replace them."""
    sending = Sending(tmp_path, taking.url, headers=(("X-Scope-OrgID", "team"),))
    sending.fill(1)
    sending.drain()
    (headers,) = taking.headers
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["Content-Encoding"] == "snappy"
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert headers["X-Scope-OrgID"] == "team"
    assert headers["User-Agent"].startswith("pattoo_mp/")


@pytest.mark.parametrize(("name", "is_quoted"), [("X-Scope-OrgID", True), ("X-Token", False)])
def test_an_answer_that_may_repeat_a_secret_is_not_quoted(
    tmp_path: Path, taking: Between, name: str, is_quoted: bool
) -> None:
    """The header of a tenant is no secret; any other of the user's may be one."""
    taking.before = lambda _: Reply(400, b"no: " + taking.headers[-1][name].encode())
    sending = Sending(tmp_path, taking.url, headers=((name, "sesame"),))
    sending.fill(1)
    assert ("sesame" in sending.attempt().error) is is_quoted


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_status_of_success_is_success(tmp_path: Path, taking: Between, status: int) -> None:
    """Receivers differ in it."""
    taking.before = lambda _: Reply(status)
    sending = Sending(tmp_path, taking.url)
    sending.fill(3)
    assert not sending.attempt().error
    assert sending.account.delivered == 3


def test_a_page_is_no_success(tmp_path: Path, taking: Between) -> None:
    """A captive portal answers 200 to everything."""
    taking.before = lambda _: Reply(200, b"<html>Welcome</html>")
    sending = Sending(tmp_path, taking.url)
    sending.fill(3)
    attempt = sending.attempt()
    assert "check url of the output" in attempt.error
    assert attempt.fault is Fault.NOT_PATTOO
    assert sending.account.waiting == 3


WHOLE = b"HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\n\r\nOK"


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_an_answer_that_is_cut_off_is_no_success(tmp_path: Path, length: int) -> None:
    """Whatever its status says: its sender may have died before it stored the request."""
    server = RawServer(saying(WHOLE[:length]))
    try:
        sending = Sending(tmp_path, f"{at(server.port)}/api/v1/write")
        sending.fill(3)
        attempt = sending.attempt()
    finally:
        server.close()
    assert attempt.fault is Fault.UNREACHABLE
    begins = length > len(b"HTTP/1.1 ")
    assert not begins or attempt.error == "the connection ended in the middle of the answer"
    assert (sending.account.waiting, sending.account.delivered) == (3, 0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_receiver_gets_nothing_before_its_retry_after(
    tmp_path: Path, taking: Between, status: int
) -> None:
    """All polls wait, and go together afterwards."""
    taking.before = lambda _: Reply(status, b"slow down", {"Retry-After": "7"})
    sending = Sending(tmp_path, taking.url)
    sending.fill(30)
    attempt = sending.attempt()
    assert attempt.fault is Fault.BUSY
    assert attempt.wait_s >= 7
    assert sending.account.waiting == 30
    taking.before = lambda _: None
    assert sending.attempt().polls == 30


@pytest.mark.parametrize(("status", "says"), [(401, "see credentials_file; a tenant goes into headers"),
                                              (403, "a tenant goes into headers"), (404, "check url")])  # fmt: skip
def test_a_person_has_to_look(tmp_path: Path, taking: Between, status: int, says: str) -> None:
    """The delay is the largest one from the first time on, and nothing is lost."""
    taking.before = lambda _: Reply(status, b"remote write receiver needs to be enabled")
    sending = Sending(tmp_path, taking.url)
    sending.fill(30)
    assert says in sending.attempt().error
    assert sending.drawn == [30]
    assert sending.account.waiting == 30
    assert len(taking.bodies) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failing_receiver_is_tried_again(tmp_path: Path, taking: Between, status: int) -> None:
    """With a delay that grows. Nothing is lost, and nothing goes into quarantine."""
    taking.before = lambda _: Reply(status, b"no space left on device")
    sending = Sending(tmp_path, taking.url)
    sending.fill(1)
    for _ in range(6):
        assert sending.attempt().error
    assert sending.drawn == [1, 2, 4, 8, 16, 30]
    assert sending.account.waiting == 1
    taking.before = lambda _: None
    sending.drain()
    assert sending.account.delivered == 1


@pytest.mark.parametrize("reply", [Reply(413, b"too large"), Reply(0)], ids=["413", "reset"])
def test_what_is_too_large_goes_in_smaller_requests(
    tmp_path: Path, taking: Between, reply: Reply
) -> None:
    """Something on the way has a limit, whether or not it says so."""
    taking.before = lambda body: reply if len(body) > 2000 else None
    sending = Sending(tmp_path, taking.url)
    sending.fill(100)
    sending.drain()
    assert sending.account.delivered == 100


def test_a_receiver_that_hangs_costs_one_exchange(tmp_path: Path, taking: Between) -> None:
    """The polls wait; what it may have stored counts as sent before."""
    over = threading.Event()
    taking.before = lambda _: Reply(204) if over.wait(60) else None
    sending = Sending(tmp_path, taking.url, exchange_s=0.3)
    sending.fill(5)
    attempt = sending.attempt()
    over.set()
    assert attempt.fault is Fault.LATE
    assert sending.account.waiting == 5


def test_a_receiver_that_is_away(tmp_path: Path) -> None:
    """The polls wait."""
    sending = Sending(tmp_path, f"http://127.0.0.1:{free_port()}/api/v1/write")
    sending.fill(5)
    assert sending.attempt().fault is Fault.UNREACHABLE
    assert sending.account.waiting == 5


@pytest.mark.parametrize("reply", [Reply(400, MIMIR), Reply(409, b"store: out of order sample in 3 series")],
                         ids=["mimir", "thanos"])  # fmt: skip
def test_a_receiver_that_stores_the_rest_has_the_polls(
    tmp_path: Path, taking: Between, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """They count as delivered, nothing is repeated, and the log names what was refused."""
    taking.before = lambda _: reply
    sending = Sending(tmp_path, taking.url)
    sending.fill(20)
    assert sending.attempt().polls == 20
    assert sending.account.delivered == 20
    assert len(taking.bodies) == 1
    assert "refused single samples" in caplog.text
    sending.fill(20)
    sending.drain()
    assert caplog.text.count("refused single samples") == 1, "once an hour"


def test_a_poll_that_is_refused_for_unknown_reasons_goes_into_quarantine(
    tmp_path: Path, taking: Between
) -> None:
    """It is found in a few steps, after a request without series was taken."""
    sending = Sending(tmp_path, taking.url)
    polls = sending.fill(40)
    bad = _time_of(polls[13])
    taking.before = lambda body: Reply(400, b"bad thing") if bad in _message(body) else None
    sending.drain()
    account = sending.account
    assert (account.delivered, account.quarantined) == (39, 1)
    assert len(taking.bodies) < 60


def test_nothing_goes_into_quarantine_if_everything_is_refused(
    tmp_path: Path, taking: Between
) -> None:
    """Even a request without series is: something else answers there."""
    taking.before = lambda _: Reply(400, b"what?")
    sending = Sending(tmp_path, taking.url)
    sending.fill(1)
    for _ in range(10):
        assert sending.attempt().error
    assert sending.account.waiting == 1


def test_no_poll_is_sent_from_far_ahead_of_the_clock(tmp_path: Path, taking: Between) -> None:
    """It waits until its time has come, and the trouble says so; earlier polls go."""
    sending = Sending(tmp_path, taking.url)
    now = now_ms()
    sending.append(
        [Poll.of(LAYOUT, now + ahead, values_of(n)) for n, ahead in enumerate((0, 50_000, 61_500))],
        LAYOUT,
    )
    assert sending.attempt().polls == 2
    told = sending.outbox.trouble
    attempt = sending.attempt()
    assert not attempt.error
    assert "ahead of this host's clock" in attempt.trouble
    # The same from the request on that left it behind: it is one trouble, and logged once.
    assert told == attempt.trouble
    assert 0 < attempt.wait_s <= 1.5
    assert len(taking.bodies) == 1
    assert sending.account.waiting == 1


def test_a_receiver_that_stores_probes_gets_no_more_of_them(
    tmp_path: Path, taking: Between
) -> None:
    """It answers as Prometheus, but takes what is good of a request with a label twice."""
    sending = Sending(tmp_path, taking.url)
    polls = sending.fill(40)
    bad = _time_of(polls[13])

    def before(body: bytes) -> Reply | None:
        message = _message(body)
        return Reply(400, b"out of order sample\n") if bad in message else None

    taking.before = before
    sending.drain()
    account = sending.account
    # The process before may have sent it.
    assert (account.delivered, account.dropped.total()) == (40, 0)
    assert sum(b"pattoo_probe" in _message(body) for body in taking.bodies) <= 1
    assert len(taking.bodies) < 30


def _message(body: bytes) -> bytes:
    return bytes(snappy.uncompress(body)) if len(body) > 1 else b""


def _time_of(poll: Poll) -> bytes:
    return b"\x10" + varint(poll.timestamp_ms)

"""The answers of a receiver process, over real sockets."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, point

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiver.process import Receiver


def test_a_real_post_is_answered_with_ok_and_stored(receiver: Receiver) -> None:
    """A post of the original agent is in the database when its answer arrives."""
    answer = receiver.post(GOLDEN_AGENT, GOLDEN)
    assert (answer.status, answer.text) == (200, "OK")
    with receiver.reader() as reader:
        assert (reader.totals().posts, reader.totals().stored) == (1, 95)
        assert reader.totals().bytes == len(GOLDEN)


def test_the_status_page_is_that_of_the_pattoo_server(receiver: Receiver) -> None:
    """It has the same text."""
    answer = receiver.ask("GET", "/status")
    assert (answer.status, answer.text) == (200, "The Pattoo Agent API is Operational.")


def test_late_and_duplicate_points_are_accepted_and_counted(receiver: Receiver) -> None:
    """They are answered with 200, as by the server, and counted in the log and the database."""
    sent = [(TICK + 9, TICK), (TICK + 9, TICK + 1), (TICK, TICK + 1)]
    for timestamp, envelope_ms in sent:
        post = body(point(timestamp=timestamp), envelope_ms=envelope_ms)
        assert receiver.post(AGENT, post).status == 200
    with receiver.reader() as reader:
        totals = reader.totals()
    assert (totals.stored, totals.duplicates, totals.late) == (2, 1, 1)
    assert totals.stale_envelopes == 1
    assert "0 duplicates, 1 older than its newest" in receiver.log
    assert "timestamp is not newer than an earlier one" in receiver.log


def test_every_refusal_has_its_status_and_reason_and_is_logged(
    receiver: Receiver,
) -> None:
    """The reason is in the answer and in the log; nothing is stored."""
    whole = body(point())
    refusals = [
        (500, "not JSON", receiver.post(AGENT, b"{")),
        (500, "the keys", receiver.post(AGENT, b"{}")),
        (404, "a JSON object", receiver.post(AGENT, b"[]")),
        (500, "below 1e+30", receiver.post(AGENT, body(point(value=1e31)))),
        (500, "the URL says", receiver.post("b" * 64, whole)),
        (404, "content type", receiver.post(AGENT, whole, **{"Content-Type": "text/plain"})),
        (404, "content type", receiver.ask("POST", f"/receive/{AGENT}", whole)),
        (500, "uncompressed", receiver.post(AGENT, gzip.compress(whole), **{"Content-Encoding": "gzip"})),
        (404, "not found", receiver.ask("GET", "/nothing")),
        (404, "not found", receiver.ask("POST", "/receive", whole)),
        (405, "not allowed", receiver.ask("GET", f"/receive/{AGENT}")),
        (405, "not allowed", receiver.ask("POST", "/status", whole)),
    ]  # fmt: skip
    for status, reason, answer in refusals:
        assert (answer.status, reason in answer.text) == (status, True), answer
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.text in receiver.log
    with receiver.reader() as reader:
        assert reader.totals().posts == 0


def test_a_wrong_method_is_answered_with_the_allowed_ones(receiver: Receiver) -> None:
    """A 405 names the methods that are allowed."""
    assert "POST" in receiver.ask("GET", f"/receive/{AGENT}").headers["Allow"]


@pytest.mark.parametrize("excess", [1, 3_000_000])
def test_a_body_over_the_limit_is_answered_with_413(
    make_receiver: Callable[..., Receiver], excess: int
) -> None:
    """Nothing is stored, and a body at the limit is accepted."""
    whole = body(point())
    receiver = make_receiver("--max-body-bytes", str(len(whole)))
    assert receiver.post(AGENT, whole + b" " * excess).status == 413
    assert receiver.post(AGENT, whole).status == 200
    with receiver.reader() as reader:
        assert reader.totals().posts == 1


def test_a_body_far_over_the_limit_is_not_read(make_receiver: Callable[..., Receiver]) -> None:
    """An absurd Content-Length is refused before the body is sent."""
    receiver = make_receiver("--max-body-bytes", "1000")
    with receiver.connect() as client:
        client.sendall(receiver.head(AGENT, 10**12))
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_chunked_body_is_accepted(receiver: Receiver) -> None:
    """A post without a Content-Length is stored."""
    whole = body(point())
    head = receiver.head(AGENT, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with receiver.connect() as client:
        client.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(whole), whole))
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_path_with_control_characters_does_not_forge_the_log(receiver: Receiver) -> None:
    """The URL that a client sends stays on one line of the log."""
    receiver.post("x%0AINFO%20forged", body(point()))
    assert "\nINFO forged" not in receiver.log


def test_an_agent_is_told_that_it_has_too_many_series(
    make_receiver: Callable[..., Receiver],
) -> None:
    """Its post is stored but for the new series, and the answer has a warning."""
    receiver = make_receiver("--max-series", "10")
    answer = receiver.post(GOLDEN_AGENT, GOLDEN)
    assert (answer.status, answer.text) == (200, "OK")
    assert "series beyond the 10 of an agent" in answer.headers["Warning"]
    assert "85 new series not taken" in receiver.log
    with receiver.reader() as reader:
        assert reader.totals().stored == 10
    assert "Warning" not in receiver.post(AGENT, body(point())).headers

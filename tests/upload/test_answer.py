"""The meaning of HTTP answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.answer import MAX_RETRY_AFTER_S, Answer, retry_after_s
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.answer import post_outcome, status_page


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (500, Fault.REFUSED),
        (413, Fault.TOO_LARGE),
        (429, Fault.BUSY), (503, Fault.BUSY),
        (404, Fault.NOT_PATTOO), (400, Fault.NOT_PATTOO), (405, Fault.NOT_PATTOO),
        (401, Fault.DENIED), (403, Fault.DENIED), (407, Fault.DENIED), (301, Fault.NOT_PATTOO), (302, Fault.NOT_PATTOO),
        (308, Fault.NOT_PATTOO), (201, Fault.NOT_PATTOO), (208, Fault.NOT_PATTOO),
        (408, Fault.LATE), (504, Fault.LATE), (502, Fault.UNREACHABLE),
        (501, Fault.UNREACHABLE), (599, Fault.UNREACHABLE),
    ],
)  # fmt: skip
def test_each_status_has_its_fault(status: int, fault: Fault) -> None:
    """Only the status decides, not the body."""
    outcome = post_outcome(Answer(status, "reason", b"OK"))
    assert not outcome.delivered
    assert outcome.fault is fault


@pytest.mark.parametrize("body", [b"", b"<html>", b"OKAY", b"x" * 5000])
def test_200_without_ok_is_not_pattoo(body: bytes) -> None:
    """A captive portal, or another web server."""
    assert post_outcome(Answer(200, "OK", body)).fault is Fault.NOT_PATTOO


def test_200_and_ok_is_delivered() -> None:
    """The only answer that means accepted."""
    assert post_outcome(Answer(200, "OK", b"OK", "100")).delivered


@pytest.mark.parametrize(("status", "wait_s"), [(429, 7), (503, 7), (500, 0), (302, 0)])
def test_only_a_busy_server_may_ask_to_wait(status: int, wait_s: int) -> None:
    """With other statuses, Retry-After means something else, or nothing."""
    assert post_outcome(Answer(status, "", b"", "7")).retry_after_s == wait_s


def test_the_status_page_of_a_healthy_server_is_recognized() -> None:
    """By pattoo's phrase, whatever surrounds it."""
    assert not status_page(Answer(200, "OK", b"The Pattoo Agent API is Operational.\n")).error


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"The Pattoo Agent API is Operational."), (200, b"OK"), (200, b""), (200, b"<html>"),
     (200, b"The Pattoo Agent API is not Operational.")],
)  # fmt: skip
def test_any_other_page_is_not_that_of_a_healthy_server(status: int, body: bytes) -> None:
    """Anything but a clear yes counts as no."""
    assert status_page(Answer(status, "", body)).error


def test_a_bad_status_page_is_described() -> None:
    """The error has the status and the page, or what was expected."""
    assert status_page(Answer(200, "OK", b"The Pattoo Agent API is Operational.")).error == ""
    assert status_page(Answer(404, "NOT FOUND", b"no")).error == "status 404 NOT FOUND: 'no'"
    assert status_page(Answer(200, "OK", b"hi")).error == (
        "status 200 with 'hi'; expected the status page of pattoo"
    )
    assert status_page(Answer(200, "OK", b" " * 5000)).error.startswith("status 200 with a page;")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Nope</body></html>", "status 501 with a page; expected OK from pattoo"),
        (
            b"\n<!DOCTYPE html>\n<TITLE>Error\n response</TITLE><h1>",
            "status 501 with a page titled 'Error response'; expected OK from pattoo",
        ),
        (b"<title>\x1b[31mred</title>", r"status 501 with a page titled '\x1b[31mred'; expected"),
    ],
)
def test_html_is_not_quoted_but_its_title(body: bytes, words: str) -> None:
    """The title of a page says what answered."""
    error = post_outcome(Answer(501, "Not Implemented", body)).error
    assert error.startswith(words)
    assert error.isprintable()


def test_the_title_of_a_page_that_may_repeat_a_secret_is_not_quoted() -> None:
    """Nothing of it is."""
    answer = Answer(501, "", b"<title>secret</title>", is_quotable=False)
    assert "secret" not in post_outcome(answer).error


def test_a_status_page_has_the_servers_time() -> None:
    """If its Date header is valid."""
    page = status_page(Answer(200, "OK", b"", date="Mon, 06 May 2024 12:00:00 GMT"))
    assert page.date == datetime(2024, 5, 6, 12, tzinfo=UTC)
    for date in (None, "", "soon", "Mon, 99 May 2024 12:00:00 GMT", "31 Dec 9999 23:59:59 -2300"):
        assert status_page(Answer(200, "OK", b"", date=date)).date is None


def test_the_target_of_a_redirect_is_quoted() -> None:
    """In one short line: most often, the URL only lacks the s of https."""
    there = "https://pattoo.example.org/"
    error = post_outcome(Answer(301, "Moved", b"", location=there)).error
    assert error == f"status 301 Moved to '{there}': ''"
    assert status_page(Answer(301, "Moved", b"", location=there)).error == error
    long = post_outcome(Answer(302, "Found", b"", location="\x1b[31m\xe9" + "x" * 5000)).error
    assert long.isascii()
    assert long.isprintable()
    assert len(long) < 150


@pytest.mark.parametrize(
    "answer",
    [Answer(301, "Moved", b""), Answer(301, "Moved", b"", location=""),
     Answer(404, "NOT FOUND", b"", location="/elsewhere"), Answer(201, "Created", b"", location="/elsewhere"),
     Answer(301, "Moved", b"", location="/elsewhere", is_quotable=False),
     Answer(301, "Moved", b" " * 5000, location="/elsewhere", is_quotable=False)],
)  # fmt: skip
def test_a_location_is_quoted_only_for_a_redirect_without_secrets(answer: Answer) -> None:
    """After a request with a secret, the location may contain that secret."""
    assert " to '" not in post_outcome(answer).error
    assert "elsewhere" not in post_outcome(answer).error


def test_ok_followed_by_a_page_of_blanks_is_not_accepted() -> None:
    """Only a short answer is read completely, so only a short one can be recognized."""
    assert not post_outcome(Answer(200, "OK", b"OK" + b" " * 5000)).delivered


# How long a server asks to be left alone.

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("1", 1), (" 120 ", 120), ("600", 600)])
def test_seconds_are_honoured(header: str, seconds: int) -> None:
    """A number of seconds, with white space around it."""
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("offset", [0, 1, 90, 600])
def test_a_date_is_honoured(offset: int) -> None:
    """An HTTP date."""
    header = format_datetime(NOW + timedelta(seconds=offset), usegmt=True)
    assert retry_after_s(header, NOW) == offset


@pytest.mark.parametrize(
    "header", ["601", "999999999", "99999999999", "9" * 5000, "Sun, 01 Mar 2026 13:00:00 GMT"]
)
def test_the_delay_is_limited(header: str) -> None:
    """To ten minutes, whatever the header says."""
    assert retry_after_s(header, NOW) == MAX_RETRY_AFTER_S == 600


@pytest.mark.parametrize(
    "header",
    [None, "", "soon", "-5", "1.5", "1e3", "٣", "nan", "inf", "0x10",
     "Sun, 01 Mar 2026 11:00:00 GMT", "Sun, 99 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 0 0:0:0",
     "Sun, 01 Mar 2026 12:00:00 +9999", "1 2 3 4 5 6 7 8"],
)  # fmt: skip
def test_garbage_and_the_past_are_ignored(header: str | None) -> None:
    """The delay is 0."""
    assert retry_after_s(header, NOW) == 0


@given(
    st.text(max_size=40)
    | st.from_regex(r"[0-9]+")
    | st.from_regex(r"\w{3}, \d+ [JFMASOND]\w{2} \d+ \d+:\d+:\d+ [+-]?\w+")
)
def test_any_header_gives_a_delay_within_the_limit(header: str) -> None:
    """No header raises an error or silences the agent."""
    assert 0 <= retry_after_s(header, NOW) <= MAX_RETRY_AFTER_S

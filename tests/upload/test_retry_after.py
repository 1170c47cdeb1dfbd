"""How long a server asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.upload.answer import LONGEST_S, retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("1", 1), (" 120 ", 120), ("600", 600)])
def test_seconds_are_honoured(header: str, seconds: int) -> None:
    """A number of seconds, with white space around it."""
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("offset", [0, 1, 90, 600])
def test_a_date_is_honoured(offset: int) -> None:
    """A moment, as HTTP writes it."""
    header = format_datetime(NOW + timedelta(seconds=offset), usegmt=True)
    assert retry_after_s(header, NOW) == offset


@pytest.mark.parametrize(
    "header", ["601", "999999999", "99999999999", "9" * 5000, "Sun, 01 Mar 2026 13:00:00 GMT"]
)
def test_it_is_bounded(header: str) -> None:
    """At most ten minutes, whatever is asked for."""
    assert retry_after_s(header, NOW) == LONGEST_S == 600


@pytest.mark.parametrize(
    "header",
    [None, "", "soon", "-5", "1.5", "1e3", "٣", "nan", "inf", "0x10",
     "Sun, 01 Mar 2026 11:00:00 GMT", "Sun, 99 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 0 0:0:0",
     "Sun, 01 Mar 2026 12:00:00 +9999", "1 2 3 4 5 6 7 8"],
)  # fmt: skip
def test_garbage_and_the_past_are_ignored(header: str | None) -> None:
    """They ask for nothing."""
    assert retry_after_s(header, NOW) == 0


@given(
    st.text(max_size=40)
    | st.from_regex(r"[0-9]+")
    | st.from_regex(r"\w{3}, \d+ [JFMASOND]\w{2} \d+ \d+:\d+:\d+ [+-]?\w+")
)
def test_any_header_gives_a_bounded_wait(header: str) -> None:
    """No header raises, and none silences the agent."""
    assert 0 <= retry_after_s(header, NOW) <= LONGEST_S

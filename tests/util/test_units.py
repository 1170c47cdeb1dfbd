"""Times and sizes with their units: read exactly, or refused."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.util.units import byte_count, exact_size, exact_time, milliseconds
from pattoo_mp.util.usage import size_option, time_option
from tests.fuzz.drawing import fuzz


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("5m", 300_000), ("5 min", 300_000), ("300 ms", 300), ("300ms", 300), ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000), ("0.5s", 500), ("0.5 h", 1_800_000), ("1.001 s", 1001), ("30d", 2_592_000_000),
        ("1 day", 86_400_000), ("30 days", 2_592_000_000), ("2w", 1_209_600_000), ("0 s", 0),
        ("1w1d1h1m1s1ms", 694_861_001), ("1h90m", 9_000_000), ("0.000000 ms", 0),
    ],
)  # fmt: skip
def test_a_time_is_read_exactly(text: str, read: int) -> None:
    """In milliseconds."""
    assert milliseconds(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("10 MB", 10_000_000), ("10MB", 10_000_000), ("2 GiB", 2 << 30), ("1.5 GB", 1_500_000_000), ("1 kB", 1000),
        ("1 KiB", 1024), ("0.5 KiB", 512), ("3 TB", 3 * 10**12), ("1 TiB", 1 << 40), ("7 B", 7), ("1 byte", 1),
        ("512 bytes", 512),
    ],
)  # fmt: skip
def test_a_size_is_read_exactly(text: str, read: int) -> None:
    """MB is a power of ten, MiB one of two."""
    assert byte_count(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "5", "0.5", "m", "5 M", "5 Min", "5 months", "1y", "-5m", "+5m", "5m ", "5m,", "5 m 3", "30m1h",
        "1m1m", "5m3min", "1.5h30m", ".5s", "5.s", "05m", "1e3s", "1_000 s", "5us", "0.5 ms", "1.0005 s", "inf s",
        "nan", "nans", "\u0665m", "5\u00a0m", "5\tm", "5m\n", "5\nm", "5 MB", "true", "5m5", "9" * 40 + "s", "1:30", "5 m s",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    """Also what two people could read differently, and what would have to be rounded."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of who asks
        milliseconds(text)


@pytest.mark.parametrize(
    "text",
    ["", "10", "10 M", "10 mb", "10 Mb", "10 KB", "10 kib", "10 mB", "-1 B", "1.5 B", "0.3 KiB", "1GB 5MB", "5m", "1 EB", "010 B"],
)  # fmt: skip
def test_what_is_no_size_is_refused(text: str) -> None:
    """KB is 1000 to some and 1024 to others, Mb is bits."""
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        byte_count(text)


@fuzz
@given(st.integers(0, 10**15))
def test_a_time_is_written_as_it_is_read(count: int) -> None:
    """Nothing is rounded."""
    assert milliseconds(exact_time(count / 1000)) == count


@fuzz
@given(st.integers(0, 2**63))
def test_a_size_is_written_as_it_is_read(count: int) -> None:
    """Nothing is rounded."""
    assert byte_count(exact_size(count)) == count


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(300, "5 min"), (90, "90 s"), (0.1, "100 ms"), (1.5, "1.5 s"), (2_592_000, "30 days"), (86_400, "1 day"),
     (3600, "1 h"), (0, "0 s"), (0.0025, "0.0025 s"), (60.001, "60.001 s")],
)  # fmt: skip
def test_a_time_is_written_for_people(seconds: float, written: str) -> None:
    """In the largest unit of which it is a whole number."""
    assert exact_time(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 bytes"), (1, "1 byte"), (1_234_567, "1234567 bytes"), (10**9, "1 GB"), (64_000_000, "64 MB"), (1 << 31, "2 GiB")],
)  # fmt: skip
def test_a_size_is_written_for_people(count: int, written: str) -> None:
    """In the unit with the fewest digits."""
    assert exact_size(count) == written


@fuzz
@given(
    st.text(max_size=50)
    | st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,4})? ?[a-zA-Z]{1,5}", fullmatch=True)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """With `ValueError`, and what is read is no less than zero."""
    for read in (milliseconds, byte_count):
        try:
            assert read(text) >= 0
        except ValueError:
            continue


def test_an_option_takes_plain_numbers_and_units() -> None:
    """A plain number has the unit that it always had."""
    days = time_option(86_400_000, 10 * 86_400_000, 86_400_000, "a number of days from 1 to 10")
    assert days("2") == days("2d") == days("48h") == 172_800_000
    assert size_option(1, 10**9)("10 MB") == size_option(1, 10**9)("10000000") == 10**7


@pytest.mark.parametrize(
    "text", ["0", "11", "1h", "-1", "2 D", "", "\u0665", "9" * 5000, "\x1b[1m"]
)
def test_an_option_refuses_in_one_line(text: str) -> None:
    """It says what was expected, with an example."""
    days = time_option(86_400_000, 10 * 86_400_000, 86_400_000, "a number of days from 1 to 10")
    with pytest.raises(
        argparse.ArgumentTypeError,
        match=r"; expected a time such as .*, or a number of days from 1 to 10$",
    ) as refused:
        days(text)
    assert str(refused.value).isprintable()

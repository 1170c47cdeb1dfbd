"""Text and values that are safe for a pattoo server."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable
from tests.wire.posts import PAIRS, TEXTS, quick

ANY_TEXT = TEXTS | st.text(st.characters(codec=None), max_size=40)


@quick
@given(ANY_TEXT)
def test_any_text_becomes_utf8_of_at_most_512_bytes(text: str) -> None:
    """Whatever the text, the result can be encoded and fits the server's columns."""
    assert len(safe_text(text).encode()) <= TEXT_BYTES


@quick
@given(ANY_TEXT, st.integers(17, 600))
def test_a_text_is_kept_within_any_limit(text: str, limit: int) -> None:
    """The limit is in bytes, not characters, and is never exceeded."""
    assert len(safe_text(text, limit).encode()) <= limit


@quick
@given(ANY_TEXT)
def test_a_safe_text_stays_as_it_is(text: str) -> None:
    """Making it safe again changes nothing."""
    safe = safe_text(text)
    assert safe_text(safe) == safe


@quick
@given(st.text(max_size=100))
def test_a_short_text_is_not_changed(text: str) -> None:
    """Text that the server can take is sent unchanged, so series keep their names."""
    assert safe_text(text) == text


def test_a_text_of_exactly_512_bytes_is_not_cut() -> None:
    """The limit itself is allowed."""
    assert safe_text("é" * 256) == "é" * 256


def test_a_text_of_513_bytes_is_cut_and_ends_in_a_hash() -> None:
    """It ends in a tilde and 16 hex digits."""
    kept, _, digest = safe_text("é" * 256 + "x").rpartition("~")
    assert kept == "é" * 247
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def test_a_cut_text_is_the_same_each_time() -> None:
    """It names the same series in each poll."""
    assert safe_text("x" * 600) == safe_text("x" * 600)


def test_cut_texts_that_begin_alike_stay_different() -> None:
    """Two long texts that differ only at the end do not become one series."""
    assert safe_text("x" * 600 + "a") != safe_text("x" * 600 + "b")


def test_cut_texts_of_different_bad_bytes_stay_different() -> None:
    """Bytes that are not UTF-8 count for the hash, too."""
    assert safe_text("\udcff" * 300) != safe_text("\udcff" * 299 + "\udcfe")


def test_a_byte_that_is_not_utf8_becomes_its_number() -> None:
    """A stray byte in a mount point is shown as a number."""
    assert safe_text("/mnt/caf\udce9") == "/mnt/caf\\xe9"


def test_a_lone_surrogate_becomes_its_number() -> None:
    """Also one that cannot come from a file name."""
    assert safe_text("a\ud800b") == "a\\ud800b"


def test_a_key_is_lower_cased_and_stripped() -> None:
    """Metadata keys are sent as the original library makes them."""
    assert normalise([("  Disk Name ", "SDA")]) == (("disk name", "SDA"),)


def test_a_value_is_stripped_and_keeps_its_case() -> None:
    """Metadata values lose only the white space around them."""
    assert normalise([("k", " \tTwo  Words\n")]) == (("k", "Two  Words"),)


def test_the_first_of_duplicate_keys_wins() -> None:
    """A later one, in whatever case, is left out."""
    assert normalise([("Os", "a"), ("x", "b"), (" oS ", "c")]) == (("os", "a"), ("x", "b"))


@quick
@given(st.lists(PAIRS, max_size=8))
def test_normalised_pairs_are_safe_and_have_each_key_once(pairs: list[tuple[str, str]]) -> None:
    """Whatever the metadata, the server can take the result."""
    made = normalise(pairs)
    assert len(dict(made)) == len(made)
    assert all(len(text.encode()) <= TEXT_BYTES for pair in made for text in pair)


@quick
@given(st.lists(PAIRS, max_size=8))
def test_normalised_pairs_keep_their_order(pairs: list[tuple[str, str]]) -> None:
    """The checksum depends on the order of the keys."""
    first_seen = dict.fromkeys(safe_text(key.lower().strip()) for key, _ in pairs)
    assert [key for key, _ in normalise(pairs)] == list(first_seen)


@pytest.mark.parametrize("value", [0, -1, 1.5, -0.0, 2**64, 10**30 - 10**14, 9.99e29, -9.99e29])
def test_a_number_below_1e30_is_sendable(value: float) -> None:
    """It fits the server's DECIMAL(40,10)."""
    assert sendable(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 10**30 - 1, 10**400])
def test_a_number_that_hangs_the_server_is_not_sendable(value: float) -> None:
    """NaN, infinities, and everything from 1e30 on as a float."""
    assert not sendable(value)


@pytest.mark.parametrize("value", [None, True, False, "1", b"1", [1], {"a": 1}])
def test_only_numbers_are_sendable(value: object) -> None:
    """Only an int or a float is sent as a value."""
    assert not sendable(value)

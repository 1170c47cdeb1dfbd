"""Text and values that are safe for a pattoo server."""

from __future__ import annotations

import math
import re
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pattoo_mp.wire.safe import TEXT_BYTES, normalise, safe_text, sendable
from tests.wire.posts import PAIRS, TEXTS, quick

ANY_TEXT = TEXTS | st.text(st.characters(codec=None), max_size=40)

#: Control characters, breaks, and the marks of Unicode's property Bidi_Control.
ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
#: Text of the characters that matter here, and their neighbours.
_LOOKALIKES = (r"\x1b", r"\x5c", r"\x9f", r"\u202e", r"\u0085", r"\U000e0041", r"\ud800")
_ODD = (
    "\\xuU0159cdfe7 é\x00\x1b\a\x7f\x85\x9f\xa0\xad\u061c\u180e\u200b\u200d\u200f\u2028\u202e\u2067\ufeff"
    "\ufffa\U00013430\U0001bca0\U0001d173\U000e0041\ud800\udc80\udcff"
)
ODD_TEXT = ANY_TEXT | st.lists(st.sampled_from((*_ODD, *_LOOKALIKES)), max_size=12).map("".join)


def acting(text: str) -> bool:
    """Whether a text holds what acts on a screen."""
    return ACTING.search(text) is not None


def original(sent: str) -> str:
    """Read the escapes of a text, as someone would who wants the name itself."""

    def character(escape: re.Match[str]) -> str:
        code = int(escape[1] or escape[2] or escape[3], 16)
        read = chr(code + 0xDC00) if escape[1] and code >= 0x80 else chr(code)
        return read if read == "\\" or safe_text(read) == escape[0] else escape[0]

    escapes = r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))"
    return re.sub(escapes, character, sent)


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
@given(ODD_TEXT)
def test_a_short_text_that_acts_on_nothing_is_not_changed(text: str) -> None:
    """Text that the server and its readers can take is sent unchanged, so series keep their names."""
    assume(not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"})
    assume(not re.search(r"\\[xuU]", text) and len(text.encode()) <= TEXT_BYTES)
    assert safe_text(text) == text


@quick
@given(ODD_TEXT)
def test_no_character_that_acts_on_a_screen_is_sent(text: str) -> None:
    """Neither control characters nor marks that reverse, break or hide text; and no surrogate."""
    assert not acting(safe_text(text))


@settings(max_examples=1000, deadline=None)
@given(ODD_TEXT)
def test_texts_that_differ_stay_different(text: str) -> None:
    """The original can be read back from what is sent, so no two of them are the same."""
    assert original(safe_text(text, 100_000)) == text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("/mnt/\x1b[2Jred", r"/mnt/\x1b[2Jred"),
        ("bell\a", r"bell\x07"),
        ("del\x7f", r"del\x7f"),
        ("csi\x9b31m", r"csi\u009b31m"),
        ("byte\udc9b31m", r"byte\x9b31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("mark\u200f", r"mark\u200f"),
        ("isolate\u2067", r"isolate\u2067"),
        ("line\u2028break", r"line\u2028break"),
        ("nothing\u200bseen", r"nothing\u200bseen"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("both\x1b\\x1b", r"both\x1b\x5cx1b"),
    ],
)
def test_a_character_that_acts_becomes_its_number(text: str, sent: str) -> None:
    """It is shown as an escape, in the same form as a byte that is not UTF-8."""
    assert safe_text(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        "/srv/données", "/mnt/東京", "/home/می‌خواهم", "👨‍👩‍👧", "/a b", "/nbsp\u00a0x", "\u3000",
        r"/dev/disk/by-uuid\x2d1", r"by-label\x20x", r"C:\users", r"\udev", r"\\server\share", "back\\",
        r"\u00e9", r"\x4a", r"\U0001f600",
    ],
)  # fmt: skip
def test_a_name_without_them_is_sent_as_it_is(text: str) -> None:
    """Letters of any script, joined emoji, and the escapes of systemd and udev keep their checksums."""
    assert safe_text(text) == text


@pytest.mark.parametrize(
    "text", [r"\x1b", r"\u202e", r"\U000e0041", r"\x5cx1b", r"\xff", r"\udc80"]
)
def test_a_name_that_reads_like_an_escape_is_another_name(text: str) -> None:
    """A directory may be called so. It is not the one with the character."""
    assert safe_text(text) == r"\x5c" + text[1:]


def test_each_escaped_character_is_one_that_acts() -> None:
    """The ranges that are written out hold control and format characters, breaks, and free places."""
    escaped = [chr(code) for code in range(0xD800) if safe_text(chr(code)) != chr(code)]
    escaped += [chr(code) for code in range(0xE000, 0x110000) if safe_text(chr(code)) != chr(code)]
    assert {unicodedata.category(c) for c in escaped} == {"Cc", "Cf", "Cn", "Zl", "Zp"}
    assert "\\" not in escaped


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


@pytest.mark.parametrize("end", ["\x1c", "\x1f", "\x85", "\u2028", "\u2029"])
def test_a_control_character_at_the_end_of_a_value_is_not_stripped(end: str) -> None:
    """An interface may be called so, and is another one than that without it."""
    (pair,) = normalise([("k", f"eth0{end}")])
    assert pair == ("k", safe_text(f"eth0{end}")) != ("k", "eth0")


@pytest.mark.parametrize(
    "space", [c for c in map(chr, range(0x3001)) if c.isspace() and not acting(c)]
)
def test_any_other_white_space_around_a_value_is_stripped(space: str) -> None:
    """As by the original library, so the checksums are the same."""
    assert normalise([("k", f"{space}eth0{space}")]) == (("k", "eth0"),)


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

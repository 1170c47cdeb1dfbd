"""Lists of families and of patterns, as a configuration gives them."""

from __future__ import annotations

import pytest

from pattoo_mp.config import validators
from pattoo_mp.config.families import EVERY, FURTHER, ORIGINAL, by_interval, names_on
from pattoo_mp.config.validators import (
    InvalidPartError,
    further_families,
    nonempty_patterns,
    original_families,
    patterns,
    per_family,
)


def refused(check: object, value: object) -> tuple[object, str]:
    """What of a value is refused, and what was expected of it."""
    with pytest.raises(InvalidPartError) as caught:
        check(value)  # type: ignore[operator]
    return caught.value.given, caught.value.expected


def test_families_are_asked_in_their_own_order() -> None:
    """However they were listed: the order of a poll's series does not depend on it."""
    assert names_on(("uptime", "pressure"), ()) == (*ORIGINAL, "pressure", "uptime")
    assert names_on((), ("memory", "system")) == ("processor", "partitions", "disk_io", "network")
    assert names_on(FURTHER, ()) == EVERY


def test_no_family_is_known_by_two_names_or_two_by_one() -> None:
    """Nor is one both the original's and not."""
    assert len(set(EVERY)) == len(EVERY)


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("pressur", "pressure"), ("Uptime", "uptime"), ("load_per_cpu", "load_per_processor"),
     ("file-handles", "file_handles")],
)  # fmt: skip
def test_a_slip_is_told_the_nearest_name(word: str, nearest: str) -> None:
    """Of all names that there are."""
    assert refused(further_families, ["pressure", word]) == (word, nearest)


def test_what_is_near_to_nothing_is_told_all_names() -> None:
    """Those that can stand there."""
    assert refused(further_families, ["xyz"]) == ("xyz", f"one of {', '.join(FURTHER)}")
    assert refused(original_families, ["xyz"]) == ("xyz", f"one of {', '.join(ORIGINAL)}")


def test_a_family_in_the_wrong_list_is_sent_to_the_other() -> None:
    """Who lists one of the original's may believe that it alone is polled then."""
    assert refused(further_families, ["memroy"]) == (
        "memroy", "a family that is off by default; memory is on, use families_off to turn it off",
    )  # fmt: skip
    assert refused(original_families, ["uptime"]) == (
        "uptime", "a family that is on by default; uptime is off unless families lists it",
    )  # fmt: skip


@pytest.mark.parametrize("check", [further_families, original_families, patterns])
@pytest.mark.parametrize("value", ["pressure", 5, {"pressure": True}, True])
def test_one_word_is_no_list(check: object, value: object) -> None:
    """Not even a right one: what is meant is not guessed."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the setting's words follow
        check(value)  # type: ignore[operator]
    assert not isinstance(caught.value, InvalidPartError)


def test_a_word_that_yaml_takes_for_something_else_is_named() -> None:
    """`off` without quotes is false to YAML, `eth` is text, and 5 is a number."""
    assert refused(patterns, ["eth0", False])[0] is False
    assert "quotes" in refused(patterns, [5])[1]


@pytest.mark.parametrize("pattern", ["", "a\nb", "\0", "eth[0-9", "[", "[!]", "[]", "a[!x"])
def test_a_bad_pattern_is_named(pattern: str) -> None:
    """What can match nothing, and a bracket that is not closed."""
    assert refused(patterns, ["*", pattern])[0] == pattern


def test_to_include_nothing_is_refused() -> None:
    """Elsewhere an empty list means everything; to exclude nothing is clear."""
    assert refused(nonempty_patterns, [])[0] == []
    assert patterns([]) == ()


@pytest.mark.parametrize("pattern", ["*", "eth[0-9]", "[!a-c]*", "[]]", "[[]", "[!]]", "/mnt/a b"])
def test_a_good_pattern_is_kept(pattern: str) -> None:
    """As it is."""
    assert patterns([pattern]) == (pattern,)


def test_families_of_one_interval_are_a_group() -> None:
    """In their own order, the group of the shortest interval first."""
    groups = by_interval(
        ORIGINAL, 1000, {"partitions": 60_000, "processor": 100, "network": 60_000}
    )
    assert list(groups.items()) == [
        (100, ("processor",)),
        (1000, ("system", "memory", "disk_io")),
        (60_000, ("partitions", "network")),
    ]


def test_without_intervals_of_their_own_all_families_are_one_group() -> None:
    """So are those whose own interval is that of all others, and none at all."""
    assert by_interval(ORIGINAL, 1000, {}) == {1000: ORIGINAL}
    assert by_interval(ORIGINAL, 1000, {"memory": 1000, "uptime": 5}) == {1000: ORIGINAL}
    assert by_interval((), 1000, {"memory": 5}) == {1000: ()}


#: Takes numbers in a text.
NUMBERS = per_family(lambda value: int(str(value)), "a number")


def test_what_families_have_of_their_own_is_checked() -> None:
    """Each by itself."""
    assert NUMBERS({"memory": "7", "uptime": 8}) == {"memory": 7, "uptime": 8}
    assert NUMBERS({}) == {}
    assert refused(NUMBERS, {"memory": 7, "uptime": "x"}) == ("x", "a number, for uptime")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("memry", "memory"), ("xyz", f"one of {', '.join(EVERY)}"), (5, f"one of {', '.join(EVERY)}"),
     (None, f"one of {', '.join(EVERY)}")],
)  # fmt: skip
def test_a_family_that_there_is_not_has_nothing(name: object, expected: str) -> None:
    """A slip is told the nearest name."""
    assert refused(NUMBERS, {name: 5}) == (name, expected)


@pytest.mark.parametrize("value", [5, "memory", ["memory"], [{"memory": 5}], True])
def test_what_is_no_mapping_gives_no_family_anything(value: object) -> None:
    """Whatever it names."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the setting's words follow
        NUMBERS(value)
    assert not isinstance(caught.value, InvalidPartError)


# Settings that say where something is on a network.


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://pattoo.example.org", "https://pattoo.example.org"),
        ("https://pattoo.example.org/", "https://pattoo.example.org"),
        ("HTTPS://Pattoo.Example.org:8443/a/b-c.d_e~f/", "https://pattoo.example.org:8443/a/b-c.d_e~f"),
        ("http://192.0.2.1:20201", "http://192.0.2.1:20201"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]:443/x"),
        ("http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"),
    ],
)  # fmt: skip
def test_a_url_of_a_server_is_taken(given: str, taken: str) -> None:
    """In plain HTTP or with TLS, with or without a port and a prefix."""
    assert validators.servers([given]) == (taken,)
    assert validators.servers([taken]) == (taken,)


@pytest.mark.parametrize(
    "given",
    ["", "pattoo.example.org", "//pattoo.example.org", "ftp://pattoo.example.org", "https://",
     "https:///x", "https://x:0", "https://x:65536", "https://x:y", "https://1.2.3", "https://[::1",
     "https://x/?a=b", "https://x/#a", "https://x?", "https://x#", "https://x/a//b", "https://x/%2f",
     "https://x/a b", " https://x", "https://x\n", "https://ü", "https://x/ü", "https://x/\x1b"],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused(given: str) -> None:
    """It is said what is expected."""
    with pytest.raises(InvalidPartError) as refused:
        validators.servers([given])
    assert refused.value.given == given
    assert refused.value.expected.startswith("the URL of a pattoo server, such as https://")


@pytest.mark.parametrize("path", ["pattoo/api/v1/agent", "x/pattoo/api/v1/agent/receive"])
def test_what_a_pattoo_server_adds_itself_is_refused(path: str) -> None:
    """It would stand there twice."""
    with pytest.raises(InvalidPartError, match="the part of the URL before /pattoo/api/v1/agent/"):
        validators.servers([f"https://x/{path}"])


@pytest.mark.parametrize("given", ["https://x", {"url": "https://x"}, None, 1])
def test_servers_are_a_list(given: object) -> None:
    """Of texts."""
    with pytest.raises(ValueError, match=r"^$"):
        validators.servers(given)
    with pytest.raises(InvalidPartError):
        validators.servers([given, 1])


def test_a_server_is_named_once() -> None:
    """However it is written."""
    with pytest.raises(InvalidPartError, match="each server once"):
        validators.servers(["https://x", "http://x", "HTTPS://X/"])


@pytest.mark.parametrize(
    ("given", "taken"),
    [("direct", "direct"), ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
     ("https://[::1]:1", "https://[::1]:1")],
)  # fmt: skip
def test_a_proxy_is_a_url_or_a_word(given: str, taken: str) -> None:
    """Spoken to with or without TLS."""
    assert validators.proxy(given) == taken
    assert validators.proxy(taken) == taken


@pytest.mark.parametrize(
    "given",
    ["", "none", "Direct", "proxy:3128", "socks5://x:1", "http://user:s3cret@x:1", "http://x/path",
     "http://x:y", "http://", "http://x y", "http://x\n", 3128, None, ["http://x"]],
)  # fmt: skip
def test_what_is_no_proxy_is_refused(given: object) -> None:
    """A path, another protocol, or a password that settings would show."""
    with pytest.raises(ValueError):  # noqa: PT011 - one kind of error for every bad value
        validators.proxy(given)

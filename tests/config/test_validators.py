"""The checks of settings: families, patterns, hosts and URLs."""

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
    """The invalid part of a refused value, and what was expected instead."""
    with pytest.raises(InvalidPartError) as caught:
        check(value)  # type: ignore[operator]
    return caught.value.given, caught.value.expected


def test_all_wrong_families_of_a_list_are_named() -> None:
    """Not the first one only, or a person starts the agent once for each."""
    given, expected = refused(further_families, ["presure", "uptime", "xyz"])
    assert given == ["presure", "xyz"]
    assert expected == f"for 'presure' pressure; for 'xyz' one of {', '.join(FURTHER)}"


def test_families_are_polled_in_a_fixed_order() -> None:
    """The order of a poll's series does not depend on the order in the file."""
    assert names_on(("uptime", "pressure"), ()) == (*ORIGINAL, "pressure", "uptime")
    assert names_on((), ("memory", "system")) == ("processor", "partitions", "disk_io", "network")
    assert names_on(FURTHER, ()) == EVERY


def test_family_names_are_unique() -> None:
    """None is in both lists."""
    assert len(set(EVERY)) == len(EVERY)


@pytest.mark.parametrize(
    ("word", "similar"),
    [("pressur", "pressure"), ("Uptime", "uptime"), ("load_per_cpu", "load_per_processor"),
     ("file-handles", "file_handles")],
)  # fmt: skip
def test_a_typo_gets_the_most_similar_name(word: str, similar: str) -> None:
    """Of all families."""
    assert refused(further_families, ["pressure", word]) == (word, similar)


def test_an_unknown_word_gets_all_names() -> None:
    """All that the setting accepts."""
    assert refused(further_families, ["xyz"]) == ("xyz", f"one of {', '.join(FURTHER)}")
    assert refused(original_families, ["xyz"]) == ("xyz", f"one of {', '.join(ORIGINAL)}")


def test_a_family_in_the_wrong_list_gets_the_other_setting() -> None:
    """Its author may think that only the listed families are polled."""
    assert refused(further_families, ["memroy"]) == (
        "memroy", "a family that is off by default; memory is on, use families_off to turn it off",
    )  # fmt: skip
    assert refused(original_families, ["uptime"]) == (
        "uptime", "a family that is on by default; uptime is off unless families lists it",
    )  # fmt: skip


@pytest.mark.parametrize("check", [further_families, original_families, patterns])
@pytest.mark.parametrize("value", ["pressure", 5, {"pressure": True}, True])
def test_a_single_word_is_refused_as_a_list(check: object, value: object) -> None:
    """Even if it is a valid name: the meaning is not guessed."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the setting's words follow
        check(value)  # type: ignore[operator]
    assert not isinstance(caught.value, InvalidPartError)


def test_a_word_that_yaml_reads_as_another_type_is_refused() -> None:
    """YAML reads `off` without quotes as false, and 5 as a number."""
    assert refused(patterns, ["eth0", False])[0] is False
    assert "quotes" in refused(patterns, [5])[1]


@pytest.mark.parametrize("pattern", ["", "a\nb", "\0", "eth[0-9", "[", "[!]", "[]", "a[!x"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    """One that can match nothing, or with an open bracket."""
    assert refused(patterns, ["*", pattern])[0] == pattern


def test_an_empty_include_list_is_refused() -> None:
    """It could be read as everything; an empty exclude list is unambiguous."""
    assert refused(nonempty_patterns, [])[0] == []
    assert patterns([]) == ()


@pytest.mark.parametrize("pattern", ["*", "eth[0-9]", "[!a-c]*", "[]]", "[[]", "[!]]", "/mnt/a b"])
def test_a_valid_pattern_is_accepted(pattern: str) -> None:
    """Unchanged."""
    assert patterns([pattern]) == (pattern,)


def test_families_with_the_same_interval_are_a_group() -> None:
    """In their fixed order, the group with the shortest interval first."""
    groups = by_interval(
        ORIGINAL, 1000, {"partitions": 60_000, "processor": 100, "network": 60_000}
    )
    assert list(groups.items()) == [
        (100, ("processor",)),
        (1000, ("system", "memory", "disk_io")),
        (60_000, ("partitions", "network")),
    ]


def test_without_own_intervals_all_families_are_one_group() -> None:
    """Also if an own interval equals the default one, or if no family is on."""
    assert by_interval(ORIGINAL, 1000, {}) == {1000: ORIGINAL}
    assert by_interval(ORIGINAL, 1000, {"memory": 1000, "uptime": 5}) == {1000: ORIGINAL}
    assert by_interval((), 1000, {"memory": 5}) == {1000: ()}


#: A check of a mapping from families to integers.
NUMBERS = per_family(lambda value: int(str(value)), "a number")


def test_each_value_of_a_mapping_is_checked() -> None:
    """And converted."""
    assert NUMBERS({"memory": "7", "uptime": 8}) == {"memory": 7, "uptime": 8}
    assert NUMBERS({}) == {}
    assert refused(NUMBERS, {"memory": 7, "uptime": "x"}) == ("x", "a number, for uptime")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("memry", "memory"), ("xyz", f"one of {', '.join(EVERY)}"), (5, f"one of {', '.join(EVERY)}"),
     (None, f"one of {', '.join(EVERY)}")],
)  # fmt: skip
def test_an_unknown_family_in_a_mapping_is_refused(name: object, expected: str) -> None:
    """A typo gets the most similar name."""
    assert refused(NUMBERS, {name: 5}) == (name, expected)


@pytest.mark.parametrize("value", [5, "memory", ["memory"], [{"memory": 5}], True])
def test_other_values_than_a_mapping_are_refused(value: object) -> None:
    """Whatever they contain."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the setting's words follow
        NUMBERS(value)
    assert not isinstance(caught.value, InvalidPartError)


# --- hosts and URLs


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("https://pattoo.example.org", "https://pattoo.example.org"),
        ("https://pattoo.example.org/", "https://pattoo.example.org"),
        ("HTTPS://Pattoo.Example.org:8443/a/b-c.d_e~f/", "https://pattoo.example.org:8443/a/b-c.d_e~f"),
        ("http://192.0.2.1:20201", "http://192.0.2.1:20201"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]:443/x"),
        ("http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"),
    ],
)  # fmt: skip
def test_the_url_of_a_server_is_accepted(given: str, accepted: str) -> None:
    """HTTP or HTTPS, with or without port and prefix."""
    assert validators.servers([given]) == (accepted,)
    assert validators.servers([accepted]) == (accepted,)


@pytest.mark.parametrize(
    "given",
    ["", "pattoo.example.org", "//pattoo.example.org", "ftp://pattoo.example.org", "https://",
     "https:///x", "https://x:0", "https://x:65536", "https://x:y", "https://1.2.3", "https://[::1",
     "https://x/?a=b", "https://x/#a", "https://x?", "https://x#", "https://x/a//b", "https://x/%2f",
     "https://x/a b", " https://x", "https://x\n", "https://ü", "https://x/ü", "https://x/\x1b"],
)  # fmt: skip
def test_an_invalid_url_of_a_server_is_refused(given: str) -> None:
    """With what was expected."""
    with pytest.raises(InvalidPartError) as refused:
        validators.servers([given])
    assert refused.value.given == given
    assert refused.value.expected.startswith("the URL of a pattoo server, such as https://")


@pytest.mark.parametrize("path", ["pattoo/api/v1/agent", "x/pattoo/api/v1/agent/receive"])
def test_a_url_with_the_path_of_the_api_is_refused(path: str) -> None:
    """The agent adds this path."""
    with pytest.raises(InvalidPartError, match="the part of the URL before /pattoo/api/v1/agent/"):
        validators.servers([f"https://x/{path}"])


@pytest.mark.parametrize("given", ["https://x", {"url": "https://x"}, None, 1])
def test_servers_must_be_a_list_of_texts(given: object) -> None:
    """A single URL is refused, and so are other types in the list."""
    with pytest.raises(ValueError, match=r"^$"):
        validators.servers(given)
    with pytest.raises(InvalidPartError):
        validators.servers([given, 1])


def test_a_duplicate_server_is_refused() -> None:
    """Also if it is written differently."""
    with pytest.raises(InvalidPartError, match="each server once"):
        validators.servers(["https://x", "http://x", "HTTPS://X/"])


@pytest.mark.parametrize(
    ("given", "accepted"),
    [("direct", "direct"), ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
     ("https://[::1]:1", "https://[::1]:1")],
)  # fmt: skip
def test_a_proxy_is_a_url_or_direct(given: str, accepted: str) -> None:
    """HTTP or HTTPS."""
    assert validators.proxy(given) == accepted
    assert validators.proxy(accepted) == accepted


@pytest.mark.parametrize(
    "given",
    ["", "none", "Direct", "proxy:3128", "socks5://x:1", "http://user:s3cret@x:1", "http://x/path",
     "http://x:y", "http://", "http://x y", "http://x\n", 3128, None, ["http://x"]],
)  # fmt: skip
def test_an_invalid_proxy_is_refused(given: object) -> None:
    """One with a path, another protocol, or a password, which --check would show."""
    with pytest.raises(ValueError):  # noqa: PT011 - one kind of error for every bad value
        validators.proxy(given)

"""The posts that the decoder accepts, and those that it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.receiver.decode import Refused, decode_post
from tests.receiver.posts import AGENT, GOLDEN, GOLDEN_AGENT, TICK, body, content, point

if TYPE_CHECKING:
    from collections.abc import Callable

TEN = tuple(point())
NAN = float("nan")


def refusal(sent: bytes, sent_to: str | None = None) -> Refused:
    """The refusal of a body; fails the test if it is accepted, or the reason is not one line."""
    with pytest.raises(Refused) as caught:
        decode_post(sent, sent_to=sent_to)
    assert str(caught.value).isprintable()
    return caught.value


def test_a_real_post_is_decoded_whole() -> None:
    """A post of the original agent gives all its datapoints, with metadata in order."""
    post = decode_post(GOLDEN, sent_to=GOLDEN_AGENT)
    assert (len(post.datapoints), post.polling_interval_ms) == (95, 300_000)
    last = post.datapoints[-1]
    assert (last.key, last.data_type, last.value) == ("network_io_dropout", 64, 0.0)
    assert last.metadata[0] == ("release", "6.18.44-fc-v657")
    assert last.metadata[-1] == ("network_io_interface", "eth0")


def test_a_datapoint_has_every_pair_in_its_place() -> None:
    """Each of the ten pairs and the metadata is found again under its own name."""
    (found,) = decode_post(body(point(value=2.5, data_type=101, disk="sda"))).datapoints
    assert (found.key, found.value, found.data_type) == ("load", 2.5, 101)
    assert (found.timestamp_ms, found.polling_interval_ms) == (TICK, 300_000)
    assert (found.agent_id, found.target, found.hostname) == (AGENT, "host", "host")
    assert (found.program, found.checksum) == ("program", "c0" * 32)
    assert found.metadata == (("disk", "sda"),)


def test_each_datapoint_keeps_its_own_interval() -> None:
    """Even if one post has several, and none is that of the envelope."""
    post = decode_post(
        body(point(agent_polling_interval="100"), point(agent_polling_interval="60000"))
    )
    assert [found.polling_interval_ms for found in post.datapoints] == [100, 60_000]


def test_polls_are_counted_by_their_times() -> None:
    """A post of datapoints at two times has two polls."""
    post = decode_post(body(point(), point(key="other"), point(timestamp=TICK + 1)))
    assert post.polls == 2


def test_metadata_given_twice_keeps_its_first_value() -> None:
    """The second value of a metadata key is ignored, as by the server's library."""
    doubled = content(point(disk="sda"), {"disk": "sdb"})
    first, second = doubled["pattoo_datapoints"]["datapoint_pairs"]
    doubled["pattoo_datapoints"]["datapoint_pairs"] = [first + second]
    (found,) = decode_post(json.dumps(doubled).encode()).datapoints
    assert found.metadata == (("disk", "sda"),)


def test_a_number_in_a_string_is_a_number() -> None:
    """A numeric string is accepted for a numeric type."""
    (found,) = decode_post(body(point(value="12.5"))).datapoints
    assert found.value == 12.5


@pytest.mark.parametrize("value", [-(10**30) + 2**60, 9.9e29, 0, -0.0, 2**64 - 1])
def test_every_number_below_the_limit_is_accepted(value: float) -> None:
    """Numbers up to the limit of the server's column."""
    assert decode_post(body(point(value=value))).datapoints[0].value == value


def test_text_of_exactly_512_bytes_is_accepted() -> None:
    """The limits of text count bytes of UTF-8, and include the limit itself."""
    longest = "é" * 256
    decode_post(body(point(disk=longest, agent_polled_target=longest, key="k" * 504)))


@pytest.mark.parametrize("missing", TEN)
def test_a_datapoint_without_one_of_the_ten_pairs_is_refused(missing: str) -> None:
    """The server drops such a datapoint silently."""
    pairs = point()
    del pairs[missing]
    assert str(refusal(body(pairs))) == f"datapoint_pairs[0]: missing {missing}"


BAD_PAIRS: list[tuple[str, object, str]] = [
    ("value", 1e30, "below 1e+30"),
    ("value", -(10**30), "below 1e+30"),
    ("value", 10**30 - 1, "below 1e+30"),
    ("value", 10**400, "below 1e+30"),
    ("value", "nan", "below 1e+30"),
    ("value", "-inf", "below 1e+30"),
    ("value", "1e999", "below 1e+30"),
    ("value", "many", "expected a number"),
    ("value", None, "expected a number"),
    ("value", [1], "expected a number"),
    ("value", {}, "expected a number"),
    ("value", True, "expected a number"),
    ("value", "\ud800", "lone surrogate"),
    ("timestamp", 1.0, "expected an integer"),
    ("timestamp", str(TICK), "expected an integer"),
    ("timestamp", True, "expected an integer"),
    ("timestamp", None, "expected an integer"),
    ("timestamp", -1, "expected an integer"),
    ("timestamp", 2**63, "expected an integer"),
    ("agent_polling_interval", 300_000, "in a string"),
    ("agent_polling_interval", "0", "positive"),
    ("agent_polling_interval", "-1", "positive"),
    ("agent_polling_interval", "1.5", "positive"),
    ("agent_polling_interval", " 1", "positive"),
    ("agent_polling_interval", "٣", "positive"),
    ("agent_polling_interval", "9" * 30, "positive"),
    ("data_type", 1, "data type"),
    ("data_type", "99", "data type"),
    ("data_type", 99.0, "data type"),
    ("data_type", [], "data type"),
    ("checksum", "c0" * 31, "64 hex digits"),
    ("checksum", "c0" * 32 + "\n", "64 hex digits"),
    ("checksum", "zz" * 32, "64 hex digits"),
    ("checksum", 1, "64 hex digits"),
    ("agent_id", "other", "the post is from"),
    ("agent_hostname", "\udcff", "lone surrogate"),
    ("agent_hostname", None, "expected a string"),
    ("agent_polled_target", "é" * 257, "514 bytes"),
    ("agent_program", "p" * 508, "513 bytes"),
    ("key", "k" * 505, "513 bytes"),
    ("key", 7, "expected a string"),
    ("disk", "é" * 257, "514 bytes"),
    ("disk", "/mnt/\udce9", "lone surrogate"),
    ("disk", 1, "expected a string"),
    ("d" * 513, "sda", "513 bytes"),
    ("\ud800", "sda", "lone surrogate"),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD_PAIRS)
def test_a_pair_that_breaks_the_server_is_refused(name: str, value: object, reason: str) -> None:
    """The server answers with 200, then loses data or stops; here the answer is 500."""
    refused = refusal(body(point(**{name: value})))
    assert refused.status == 500
    assert reason in str(refused)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_refused(literal: str) -> None:
    """Neither JSON's unofficial literals nor a number beyond a float are taken."""
    sent = body(point(value=123.25)).replace(b"123.25", literal.encode())
    assert refusal(sent).status == 500


def _set(path: tuple[str, ...], value: object) -> Callable[[dict[str, Any]], None]:
    def change(whole: dict[str, Any]) -> None:
        for key in path[:-1]:
            whole = whole[key]
        whole[path[-1]] = value

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(whole: dict[str, Any]) -> None:
        for key in path[:-1]:
            whole = whole[key]
        del whole[path[-1]]

    return change


PAIRS = ("pattoo_datapoints", "key_value_pairs")
ROWS = ("pattoo_datapoints", "datapoint_pairs")

BAD_SHAPES = {
    "an unknown key": (_set(("more",), 1), "the keys"),
    "no timestamp": (_drop("pattoo_agent_timestamp"), "the keys"),
    "no datapoints": (_drop("pattoo_datapoints"), "the keys"),
    "datapoints in a list": (_set(("pattoo_datapoints",), []), "expected an object"),
    "no pairs": (_drop(*PAIRS), "the keys"),
    "pairs in a list": (_set(PAIRS, []), "expected an object"),
    "rows in an object": (_set(ROWS, {}), "expected a list"),
    "a pair of three": (_set((*PAIRS, "0"), ["a", "b", "c"]), "a key and a value"),
    "a pair of a number": (_set((*PAIRS, "0"), [1, "b"]), "a key and a value"),
    "a row that is a number": (_set(ROWS, [7]), "expected a list"),
    "a pair that is not there": (_set(ROWS, [[99]]), "no pair 99"),
    "a pair's number in a string": (_set(ROWS, [["0"]]), "no pair '0'"),
    "a pair's number that is a bool": (_set(ROWS, [[True]]), "no pair True"),
    "one of the ten twice": (_set(ROWS, [[0, 0]]), "duplicate pair"),
    "an envelope's time in a string": (_set(("pattoo_agent_timestamp",), "1"), "an integer"),
    "an envelope's interval of 0": (_set(("pattoo_agent_polling_interval",), 0), "positive"),
    "an agent id that is too long": (_set(("pattoo_agent_id",), "a" * 513), "at most 512"),
    "an agent id that is a number": (_set(("pattoo_agent_id",), 1), "expected a string"),
}


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_a_body_of_another_shape_is_refused(name: str) -> None:
    """Wrong keys, pairs or rows are refused with 500 and the place in the body."""
    change, reason = BAD_SHAPES[name]
    whole = content(point())
    change(whole)
    refused = refusal(json.dumps(whole).encode())
    assert refused.status == 500
    assert reason in str(refused)


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b'{"a": 1,}', body(point())[:-1]]
)
def test_a_body_that_is_not_json_is_refused(sent: bytes) -> None:
    """It is answered with 500."""
    assert refusal(sent).status == 500


@pytest.mark.parametrize("sent", [b"[]", b"1", b"null", b'"text"', b"true"])
def test_a_body_that_is_not_an_object_is_refused_with_404(sent: bytes) -> None:
    """The server, too, does not take it for a post."""
    assert refusal(sent).status == 404


def test_an_agent_id_other_than_the_urls_is_refused() -> None:
    """The URL and the body must name the same agent."""
    assert "the URL says" in str(refusal(body(point()), sent_to="b" * 64))

"""What of the original agent's unsent posts may leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.errors import WireError
from pattoo_mp.upload.pattoo.legacy import with_envelope
from tests.upload.originals import AGENT_ID, GOLDEN, post

ENVELOPE_MS = 1_900_000_000_123


def put(*places: tuple[list[str], object]) -> bytes:
    """The real post with other things in some places."""
    content = post()
    for (*way, last), value in places:
        inner: Any = content
        for key in way:
            inner = inner[key]
        inner[last] = value
    return json.dumps(content).encode()


def pair(key: str, value: object) -> bytes:
    """The real post with another pair in the place of its first."""
    return put((["pattoo_datapoints", "key_value_pairs", "0"], [key, value]))


def test_a_real_post_stays_as_it_is_but_for_its_time() -> None:
    """The server sees what the original would have sent, under a name of its own."""
    sent = json.loads(with_envelope(json.dumps(GOLDEN).encode(), AGENT_ID, ENVELOPE_MS))
    assert sent == {**GOLDEN, "pattoo_agent_timestamp": ENVELOPE_MS}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'"text"', b"{}", b"\xff\xfe\x00", b"[" * 100_000,
     json.dumps(GOLDEN).encode()[:-20], b'{"pattoo_agent_id": "x"}'],
)  # fmt: skip
def test_what_is_not_a_post_is_not_sent(content: bytes) -> None:
    """Half a file of a full disk, or something else entirely."""
    with pytest.raises(WireError):
        with_envelope(content, AGENT_ID, ENVELOPE_MS)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (["more"], 1),
        (["pattoo_agent_id"], "b" * 64),
        (["pattoo_agent_timestamp"], "1"), (["pattoo_agent_timestamp"], True),
        (["pattoo_agent_polling_interval"], 0), (["pattoo_agent_polling_interval"], 1.5),
        (["pattoo_datapoints"], []), (["pattoo_datapoints", "more"], 1),
        (["pattoo_datapoints", "key_value_pairs"], []),
        (["pattoo_datapoints", "key_value_pairs", "0"], ["release"]),
        (["pattoo_datapoints", "key_value_pairs", "0"], [1, "x"]),
        (["pattoo_datapoints", "datapoint_pairs"], {}),
        (["pattoo_datapoints", "datapoint_pairs"], [1]),
        (["pattoo_datapoints", "datapoint_pairs"], [[10**6]]),
        (["pattoo_datapoints", "datapoint_pairs"], [["0"]]),
        (["pattoo_datapoints", "datapoint_pairs"], [[True]]),
    ],
)  # fmt: skip
def test_a_post_of_another_shape_is_not_sent(way: list[str], value: object) -> None:
    """The server answers 500 to some of these, and 200 to the others with nothing kept."""
    with pytest.raises(WireError):
        with_envelope(put((way, value)), AGENT_ID, ENVELOPE_MS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pattoo_value", float("nan")), ("pattoo_value", float("inf")), ("pattoo_value", 1e30),
        ("pattoo_value", -(10**30)), ("pattoo_value", "nan"), ("pattoo_value", "1e31"),
        ("pattoo_value", [1]), ("pattoo_value", 10**400),
        ("pattoo_timestamp", 1.5), ("pattoo_timestamp", "1"), ("pattoo_timestamp", -1),
        ("pattoo_timestamp", True), ("pattoo_timestamp", 2**63),
        ("pattoo_agent_polling_interval", 1000), ("pattoo_agent_polling_interval", "0"),
        ("pattoo_agent_polling_interval", "-1"), ("pattoo_agent_polling_interval", "x"),
        ("pattoo_agent_id", "b" * 64), ("pattoo_data_type", "99"),
        ("mount", "\udcff"), ("\udcff", "x"), ("mount", "x" * 513), ("mount", "ä" * 257),
        ("x" * 513, "x"), ("mount", None), ("mount", 1), ("pattoo_key", "x" * 500),
        ("pattoo_agent_polled_target", "x" * 513),
    ],
)  # fmt: skip
def test_what_a_server_does_not_survive_is_not_sent(key: str, value: object) -> None:
    """It would answer 200 and then stop for every agent, or lose the agent's batch."""
    with pytest.raises(WireError):
        with_envelope(pair(key, value), AGENT_ID, ENVELOPE_MS)


def test_a_number_beyond_all_floats_is_not_sent() -> None:
    """`1e999` is JSON, and infinity once it is read."""
    content = pair("pattoo_value", 0.25).replace(b"0.25", b"1e999")
    assert b"1e999" in content
    with pytest.raises(WireError):
        with_envelope(content, AGENT_ID, ENVELOPE_MS)


@pytest.mark.parametrize("value", [0, -1.5, 2**64, 1e29, None, True, "12.5", "up"])
def test_what_a_server_stores_or_passes_over_is_sent(value: object) -> None:
    """One odd datapoint is no reason to keep back the others."""
    assert with_envelope(pair("pattoo_value", value), AGENT_ID, ENVELOPE_MS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_WAYS = st.sampled_from(
    [["pattoo_agent_timestamp"], ["pattoo_agent_id"], ["pattoo_datapoints"],
     ["pattoo_datapoints", "key_value_pairs"], ["pattoo_datapoints", "key_value_pairs", "14"],
     ["pattoo_datapoints", "datapoint_pairs"]]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(_WAYS, _JSON)
def test_any_content_is_either_refused_or_sent_as_json(way: list[str], value: object) -> None:
    """Nothing else is raised, and what is sent has no literal that is not JSON."""
    try:
        sent = with_envelope(put((way, value)), AGENT_ID, ENVELOPE_MS)
    except WireError:
        return
    assert json.loads(sent, parse_constant=pytest.fail)["pattoo_agent_timestamp"] == ENVELOPE_MS

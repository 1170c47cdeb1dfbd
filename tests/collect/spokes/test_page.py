"""The page of an original spoke: what of it is believed, and what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect.spokes import page
from pattoo_mp.collect.spokes.exchange import AskError
from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.receiver.decode import decode_post
from pattoo_mp.wire.encode import encode
from tests.support.agent import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = (ROOT / "tests" / "data" / "spoke_page.json").read_bytes()
POST = (ROOT / "tests" / "data" / "hub_post.json").read_bytes()
#: When the sample was captured (ms).
THEN = json.loads(SAMPLE)["pattoo_agent_timestamp"]


def datapoints(body: bytes) -> list[list[tuple[str, Any]]]:
    """Return the datapoints of a post, each as its sorted pairs, in any order."""
    points = json.loads(body)["pattoo_datapoints"]
    pairs = points["key_value_pairs"]
    return sorted(
        sorted(map(tuple, (pairs[str(n)] for n in row))) for row in points["datapoint_pairs"]
    )


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the sample after a change."""
    content = json.loads(SAMPLE)
    change(content)
    return json.dumps(content).encode()


def with_pair(key: str, value: object, old: object = None) -> bytes:
    """Return the sample with another value for all pairs of a key, or those with the value `old`."""

    def change(content: dict[str, Any]) -> None:
        for pair in content["pattoo_datapoints"]["key_value_pairs"].values():
            if pair[0] == key and old in (None, pair[1]):
                pair[1] = value

    return changed(change)


def posted(found: page.Page) -> bytes:
    """Return the post that is made of a page."""
    assert found.layout is not None
    return encode({found.layout.identifier: found.layout}, [found.poll], THEN)


def test_a_captured_page_becomes_the_captured_post() -> None:
    """The post of the original hub has the same datapoints, times and checksums."""
    found = page.read(SAMPLE, THEN)
    assert datapoints(posted(found)) == datapoints(POST)
    assert found.left_out.total == 0
    ours, theirs = json.loads(posted(found)), json.loads(POST)
    for key in ("pattoo_agent_id", "pattoo_agent_polling_interval", "pattoo_agent_timestamp"):
        assert ours[key] == theirs[key]


def test_the_same_series_are_recognised_without_making_a_layout() -> None:
    """The layout of the page before is used again."""
    first = page.read(SAMPLE, THEN)
    assert first.layout is not None
    later = page.read(SAMPLE, THEN, (first.digest, first.layout.identifier))
    assert later.layout is None
    assert later.poll == first.poll


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("pattoo_value", None, "no number"),
        ("pattoo_value", True, "no number"),
        ("pattoo_value", 1e30, "no number"),
        ("pattoo_value", "NaN", "no number"),
        ("pattoo_value", [1], "no number"),
        ("pattoo_timestamp", 1.5, "bad time"),
        ("pattoo_timestamp", -1, "bad time"),
        ("pattoo_data_type", 7, "unknown type"),
        ("pattoo_data_type", 2, "text"),
        ("pattoo_polling", 2, ""),
        ("pattoo_agent_polling_interval", "0", "bad interval"),
        ("pattoo_agent_polling_interval", 5000, "bad interval"),
        ("pattoo_agent_id", "0" * 64, "another agent"),
        ("pattoo_key", "", "bad key"),
        ("release", 5, "metadata"),
        ("release", "\ud800", "metadata"),
        ("pattoo_agent_hostname", "", "no name"),
    ],
)
def test_what_a_server_cannot_handle_is_left_out(key: str, value: object, why: str) -> None:
    """A page of nothing else is refused, with the reason."""
    body = with_pair(key, value)
    if not why:
        assert page.read(body, THEN).left_out.total == 0
        return
    with pytest.raises(AskError, match=why) as caught:
        page.read(body, THEN)
    assert caught.value.state is SpokeState.REFUSING


def test_good_datapoints_are_taken_from_a_page_with_bad_ones() -> None:
    """The bad ones are counted with their reason, and a receiver takes the rest."""
    found = page.read(with_pair("pattoo_value", "broken", 0), THEN)
    assert 0 < found.left_out.total < 95
    assert "no number" in found.left_out.why
    assert len(decode_post(posted(found)).datapoints) == 95 - found.left_out.total


def test_text_that_stops_an_ingester_is_made_safe() -> None:
    """Metadata of over 512 bytes, and control characters, become what a receiver takes."""
    found = page.read(with_pair("release", "ü" * 600 + "\x1b[2J"), THEN)
    assert found.left_out.total == 0
    post = decode_post(posted(found))
    (release,) = {dict(point.metadata)["release"] for point in post.datapoints}
    assert len(release.encode()) <= 512


def test_a_series_that_comes_twice_is_taken_once() -> None:
    """A server would keep one of the values, and nobody knows which."""

    def double(content: dict[str, Any]) -> None:
        rows = content["pattoo_datapoints"]["datapoint_pairs"]
        rows.append(rows[0])

    found = page.read(changed(double), THEN)
    assert found.left_out.why == "1 come twice"
    assert datapoints(posted(found)) == datapoints(POST)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[" * 1000, "not JSON"),
        (b"[]", "other keys"),
        (b'{"a": 1}', "other keys"),
        (changed(lambda c: c.update(more=1)), "other keys"),
        (changed(lambda c: c.update(pattoo_agent_id="../x")), "agent id"),
        (changed(lambda c: c.update(pattoo_agent_id=5)), "agent id"),
        (changed(lambda c: c.update(pattoo_datapoints=[])), "other keys"),
        (changed(lambda c: c["pattoo_datapoints"].update(datapoint_pairs={})), "other types"),
        (changed(lambda c: c["pattoo_datapoints"].update(datapoint_pairs=[])), "no datapoints"),
        (changed(lambda c: c["pattoo_datapoints"].update(key_value_pairs={})), "no datapoint"),
        (changed(lambda c: c["pattoo_datapoints"].update(datapoint_pairs=[5, ["0"], [1e9]])), "no datapoint"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused(body: bytes, why: str) -> None:
    """Nothing of it is taken."""
    with pytest.raises(AskError, match=why):
        page.read(body, THEN)


@pytest.mark.parametrize(
    ("now_ms", "why"), [(THEN - 3_600_000, "1 h ahead"), (THEN + 3 * 86_400_000, "behind")]
)
def test_a_page_of_another_time_is_refused(now_ms: int, why: str) -> None:
    """A point from the far future would block its series on the server until then."""
    with pytest.raises(AskError, match=why.replace("1 h", "60 min")):
        page.read(SAMPLE, now_ms)


def test_a_small_page_that_stands_for_gigabytes_is_refused() -> None:
    """Each datapoint names the same pairs again, 60 kB of text."""

    def change(content: dict[str, Any]) -> None:
        points = content["pattoo_datapoints"]
        points["key_value_pairs"] |= {str(n): [f"key{n}", "x" * 1000] for n in range(1000, 1060)}
        points["datapoint_pairs"] = [
            [*row, *range(1000, 1060)] for row in points["datapoint_pairs"] for _ in range(10)
        ]

    with pytest.raises(AskError, match="too large once they are written out"):
        page.read(changed(change), THEN)


def test_a_page_with_a_time_for_each_value_stays_cheap() -> None:
    """Beyond some times, all values get the first one."""

    def spread(content: dict[str, Any]) -> None:
        pairs = content["pattoo_datapoints"]["key_value_pairs"]
        rows = content["pattoo_datapoints"]["datapoint_pairs"]
        for number, row in enumerate(rows):
            name = 10_000 + number
            pairs[str(name)] = ["pattoo_timestamp", THEN - 1000 + number]
            row[:] = [n for n in row if pairs[str(n)][0] != "pattoo_timestamp"] + [name]

    found = page.read(changed(spread), THEN)
    assert found.poll.timed()[1] is None
    assert len(decode_post(posted(found)).datapoints) == 95


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=600) | st.just("\ud800x") | st.just("\udc80"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = st.sampled_from([*sorted({pair[0] for pair in json.loads(SAMPLE)["pattoo_datapoints"]["key_value_pairs"].values()}), "new", "é\x1b", "PATTOO_KEY "])  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 229), KEYS, JSON), max_size=12),
    st.lists(st.tuples(st.integers(0, 94), st.lists(JSON | st.integers(0, 240), max_size=20)), max_size=4),
)  # fmt: skip
@example([(0, "PATTOO_KEY ", "x")], [])
@settings(deadline=None, max_examples=150)
def test_whatever_a_page_holds_a_receiver_takes_what_is_made_of_it(
    pairs: list[tuple[int, str, Any]], rows: list[tuple[int, list[Any]]]
) -> None:
    """Pairs and rows of a good page are replaced by anything: it is refused, or the post is good."""

    def change(content: dict[str, Any]) -> None:
        points = content["pattoo_datapoints"]
        for number, key, value in pairs:
            points["key_value_pairs"][str(number)] = [key, value]
        for number, row in rows:
            points["datapoint_pairs"][number] = row

    try:
        found = page.read(changed(change), THEN)
    except AskError:
        return
    post = decode_post(posted(found), sent_to=found.origin.agent_id)
    values = [value for value in found.poll.values() if value is not None]
    assert len(post.datapoints) == len(values)

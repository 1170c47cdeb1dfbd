"""Layouts and values of every kind, and a parser of posts that uses nothing of the agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Layout, Origin, Series

if TYPE_CHECKING:
    from pattoo_mp.model import Pair, Value

#: A busy machine must not fail a property by its slowness.
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

AGENT_ID = "a5" * 32
ORIGIN = Origin(AGENT_ID, "host.example.org")

#: As the file system's names come: bytes that are mostly, but not always, UTF-8.
FILE_NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
PLAIN_TEXTS = st.text(max_size=12)
LONG_TEXTS = st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=4), st.integers(120, 600)
)
TEXTS = PLAIN_TEXTS | FILE_NAMES | LONG_TEXTS

#: The server reads its own keys beside those of the metadata, so none may look like one.
NAMES = TEXTS.filter(lambda name: "pattoo" not in name.lower())
PAIRS: st.SearchStrategy[Pair] = st.tuples(NAMES, TEXTS)

SERIES = st.builds(
    Series,
    key=NAMES,
    data_type=st.sampled_from([INTEGER, FLOAT, COUNTER64]),
    metadata=st.lists(PAIRS, max_size=3).map(tuple),
)
LAYOUTS = st.builds(
    Layout,
    origin=st.builds(Origin, st.just(AGENT_ID), FILE_NAMES | LONG_TEXTS),
    interval_ms=st.integers(1, 10**9),
    series=st.lists(SERIES, max_size=4).map(tuple),
)
TIMES_MS = st.integers(0, 2**42)
VALUES: st.SearchStrategy[Value] = (
    st.none()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.sampled_from([10**30, 10**30 - 1, -(10**30), 1e30, -1e30, 2**63, 2**64, -(2**63) - 1])
)


def document(body: bytes) -> dict[str, Any]:
    """Parse a body as strict JSON: no NaN, no infinity."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON")

    content: dict[str, Any] = json.loads(body.decode(), parse_constant=refuse)
    return content


def pair_lists(body: bytes) -> list[list[tuple[str, Any]]]:
    """The pairs of each datapoint, in order. Fails for a pair that is not in the body."""
    points = document(body)["pattoo_datapoints"]
    pairs = points["key_value_pairs"]
    return [[tuple(pairs[str(number)]) for number in ids] for ids in points["datapoint_pairs"]]


def datapoints(body: bytes) -> list[dict[str, Any]]:
    """Each datapoint as a dictionary of its pairs."""
    return [dict(pairs) for pairs in pair_lists(body)]

"""Property tests: any input is decoded or refused, and what is decoded can be stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattoo_mp.receiver.decode import Post, Refused, decode_post
from pattoo_mp.receiver.store import Store
from tests.receiver.posts import TICK, content, point

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = st.sampled_from([*content(), *content()["pattoo_datapoints"], *point(), "0", "1"])
TEXT = st.text(st.characters(codec=None), max_size=20)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, NAMES)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database for everything that the decoder accepts."""
    with Store(tmp_path_factory.mktemp("property") / "db.sqlite") as opened:
        yield opened


def decoded(sent: bytes) -> Post | Refused:
    """The post or the refusal; any other exception fails the test."""
    try:
        return decode_post(sent)
    except Refused as refused:
        return refused


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """The path to every node of a JSON document but its root."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        yield (*path, key)
        if isinstance(child, (dict, list)):
            yield from paths(child, (*path, key))


PATHS = list(paths(content(point(disk="sda"))))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(sent: bytes) -> None:
    """Any bytes raise nothing but a refusal."""
    assert isinstance(decoded(sent), (Post, Refused))


@given(JSON)
def test_any_json_is_decoded_or_refused(document: object) -> None:
    """JSON of any shape, with surrogates and literals that are not JSON, too."""
    found = decoded(json.dumps(document).encode())
    assert isinstance(found, Post) or str(found).isprintable()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), JSON | st.integers(TICK, TICK + 3))
def test_a_post_changed_anywhere_is_refused_or_can_be_stored(
    store: Store, path: tuple[Any, ...], value: object
) -> None:
    """No single change of a whole post passes the decoder and then breaks the database."""
    whole = content(point(disk="sda"))
    node: Any = whole
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    post = decoded(json.dumps(whole).encode())
    if isinstance(post, Post):
        stored = store.add(post, received_ms=TICK, size_bytes=1)
        assert stored.datapoints == len(post.datapoints)

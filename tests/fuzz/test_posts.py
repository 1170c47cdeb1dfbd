"""Posts: the original agent's unsent ones, and those that the receiver gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.errors import WireError
from pattoo_mp.receiver.decode import Refused, decode_post
from pattoo_mp.upload.pattoo.legacy import LegacyPosts, with_envelope
from tests.fuzz.drawing import JSON, bounded, fuzz, mutated
from tests.upload.originals import AGENT_ID, GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

#: With few datapoints, so that changes meet their structure.
SMALL = {
    **GOLDEN,
    "pattoo_datapoints": {
        "key_value_pairs": GOLDEN["pattoo_datapoints"]["key_value_pairs"],
        "datapoint_pairs": GOLDEN["pattoo_datapoints"]["datapoint_pairs"][:2],
    },
}
SAMPLES = (json.dumps(SMALL).encode(), json.dumps(SMALL, indent=1, ensure_ascii=False).encode())


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """The post with another value at some place of its tree."""
    post: dict[str, Any] = json.loads(SAMPLES[0])
    node: Any = post
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], (dict, list)) or not node[key] or draw(st.booleans()):
            break
        node = node[key]
    node[key] = draw(JSON)
    return json.dumps(post).encode()


@fuzz
@given(mutated(SAMPLES) | changed())
def test_an_old_post_is_sent_or_refused_with_a_reason(content: bytes) -> None:
    """What is sent is a post that the strict receiver could decode, or has values that a server skips."""
    with bounded():
        try:
            sent = with_envelope(content, AGENT_ID, 7)
        except WireError as error:
            assert str(error)  # noqa: PT017
            return
    assert json.loads(sent)["pattoo_agent_timestamp"] == 7


@fuzz
@given(content=mutated(SAMPLES), name=mutated((f"1700000000000_{AGENT_ID}.json".encode(),)))
def test_a_directory_of_old_posts_is_gone_through(
    tmp_path: Path, content: bytes, name: bytes
) -> None:
    """Whatever the names and contents of its files, each is sent, renamed or left."""
    directory = tmp_path / AGENT_ID
    directory.mkdir(exist_ok=True)
    file = name.decode("utf-8", "surrogateescape").replace("/", "_").replace("\0", "_")[:200]
    (directory / (file or "x")).with_suffix(".json").write_bytes(content)
    with bounded():
        posts = LegacyPosts(tmp_path, AGENT_ID)
        source = posts.source(lambda: 7)
        for _ in range(3):
            post = source.oldest()
            if post is None:
                break
            post.accepted()
    assert posts.waiting == 0
    for left in directory.iterdir():
        left.unlink()


@fuzz
@given(mutated(SAMPLES) | changed())
def test_a_post_to_the_receiver_is_decoded_or_refused_in_one_line(content: bytes) -> None:
    """Whatever its bytes."""
    with bounded():
        try:
            decode_post(content)
        except Refused as refused:
            assert str(refused).isprintable()  # noqa: PT017

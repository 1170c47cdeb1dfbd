"""The original agent's unsent posts: found, sent first, then removed or renamed."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattoo_shared import converter

from pattoo_mp.errors import WireError
from pattoo_mp.upload.pattoo.legacy import LARGEST_BYTES, LegacyPosts, with_envelope
from tests.spool.polls import fill
from tests.support.waiting import wait_for
from tests.upload import originals
from tests.upload.moody import MoodyServer, accepting, disk_full, refusing, saying, too_large_above
from tests.upload.originals import AGENT_ID, GOLDEN, post, timestamp
from tests.upload.posting import begin_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.upload.posting import Begin, Posting


@pytest.fixture
def begin(home: Path, moody: MoodyServer) -> Iterator[Begin]:
    """Makes drains to that server."""
    yield from begin_in(home, moody)


def drained(begin: Begin, legacy: LegacyPosts) -> Posting:
    """Send everything."""
    posting: Posting = begin(legacy)
    posting.start()
    wait_for(
        lambda: posting.states and posting.states[-1].old_waiting == 0,
        what="the account of the end of the unsent posts",
    )
    posting.wait_until_empty()
    return posting


def test_they_are_sent_before_the_spool_and_in_order(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """By the numbers in their names, one file for each post; only then the polls in the spool."""
    originals.keep(home, 3, 1, 10, 2)
    legacy = LegacyPosts(home, AGENT_ID)
    assert (legacy.waiting, legacy.taken) == (4, 0)
    posting = begin(legacy)
    fill(posting.spool, 1, 5)
    posting.start()
    posting.wait_until_empty()
    assert moody.timestamps() == [*map(timestamp, (1, 2, 3, 10)), 1, 2, 3, 4, 5]
    assert [post.agent_id for post in moody.posts[:4]] == [AGENT_ID] * 4
    assert (legacy.waiting, legacy.taken) == (0, 4)
    assert posting.accounts[-1].delivered == 5  # of the spool


def test_the_order_is_that_of_the_numbers_not_of_the_text(home: Path) -> None:
    """A time with fewer digits is older."""
    for number in ("1000", "999"):
        originals.write(home / AGENT_ID / f"{number}_{AGENT_ID}.json", b"{}")
    post = LegacyPosts(home, AGENT_ID).oldest()
    assert post is not None
    assert post.path.name.startswith("999_")


def test_each_has_its_own_envelope_time(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """They may share a timestamp, and then the server would overwrite one with another."""
    originals.keep(home, *range(20))
    drained(begin, LegacyPosts(home, AGENT_ID))
    envelopes = [post.content["pattoo_agent_timestamp"] for post in moody.posts]
    assert envelopes == sorted(set(envelopes))
    assert len(envelopes) == 20


def test_the_original_library_reads_the_same_from_a_post_as_from_the_file(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """With the server's own reader."""
    originals.keep(home, 7)
    drained(begin, LegacyPosts(home, AGENT_ID))
    (sent,) = moody.posts
    records = converter.cache_to_keypairs(sent.content)
    assert len(records) > 20
    assert records == converter.cache_to_keypairs(originals.post(7))


def test_a_string_with_control_characters_is_sent_escaped_with_its_checksum(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """As in any post; the series of the original goes on."""
    content = originals.post(7)
    pairs = content["pattoo_datapoints"]["key_value_pairs"]
    for pair in pairs.values():
        if pair[0] == "disk_partition_mountpoint":
            pair[1] = "/mnt/\x1b[2J\u202e"
    originals.write(originals.path(home, 7), json.dumps(content).encode())
    drained(begin, LegacyPosts(home, AGENT_ID))
    sent = moody.posts[0].content["pattoo_datapoints"]["key_value_pairs"]
    assert ["disk_partition_mountpoint", r"/mnt/\x1b[2J\u202e"] in sent.values()
    assert [p for p in sent.values() if "mountpoint" not in p[0]] == [
        p for p in pairs.values() if "mountpoint" not in p[0]
    ]


def test_delivered_files_are_removed(home: Path, begin: Begin) -> None:
    """And nothing else in the directory is touched."""
    originals.keep(home, 1, 2)
    originals.write(home / AGENT_ID / "notes.txt", b"mine")
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert originals.names(home) == ["notes.txt"]


def test_files_stay_until_they_are_delivered(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """An unhealthy server loses none of them, and no poll overtakes them."""
    files = originals.keep(home, 1, 2)
    moody.mood, moody.page = saying(500), (500, b"")
    legacy = LegacyPosts(home, AGENT_ID)
    posting = begin(legacy)
    fill(posting.spool, 1, 3)
    posting.start()
    wait_for(lambda: len(moody.bodies) >= 6, what="some attempts")
    assert all(file.exists() for file in files)
    moody.mood = accepting
    posting.wait_until_empty()
    assert moody.timestamps() == [timestamp(1), timestamp(2), 1, 2, 3]
    assert originals.names(home) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", json.dumps(originals.post()).encode()[:-100],
     json.dumps(originals.post()).replace("0.0", "NaN", 1).encode(),
     json.dumps({**originals.post(), "pattoo_agent_id": "b" * 64}).encode()],
)  # fmt: skip
def test_a_file_that_is_not_a_post_is_renamed(
    home: Path,
    begin: Begin,
    moody: MoodyServer,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """To `.bad`, with a line in the log; the others are sent."""
    originals.keep(home, 1, 3)
    originals.write(originals.path(home, 2), content)
    legacy = LegacyPosts(home, AGENT_ID)
    drained(begin, legacy)
    assert moody.timestamps() == [timestamp(1), timestamp(3)]
    assert originals.names(home) == [f"{timestamp(2)}_ID.json.bad"]
    assert (legacy.taken, legacy.bad) == (2, 1)
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert str(originals.path(home, 2)) in errors[0]


def test_a_file_of_another_agent_is_renamed(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """Its name says that it is not ours to send."""
    originals.write(home / AGENT_ID / f"1_{'b' * 64}.json", json.dumps(originals.post()).encode())
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.posts == []
    assert originals.names(home) == [f"1_{'b' * 64}.json.bad"]


def test_a_file_that_is_too_large_is_not_read(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """No file can fill the memory."""
    (file,) = originals.keep(home, 1)
    with file.open("ab") as opened:
        opened.truncate(LARGEST_BYTES + 1)
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.posts == []
    assert originals.names(home) == [f"{timestamp(1)}_ID.json.bad"]


def test_a_symbolic_link_is_not_followed(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """Its target is neither sent, nor renamed, nor removed."""
    secret = home / "secret"
    originals.write(secret, json.dumps(originals.post(1)).encode())
    link = originals.path(home, 1)
    link.parent.mkdir()
    link.symlink_to(secret)
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.posts == []
    assert originals.names(home) == [f"{timestamp(1)}_ID.json.bad"]
    assert secret.exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_named_pipe_does_not_block(
    home: Path, begin: Begin, moody: MoodyServer, make: Callable[[Path], None]
) -> None:
    """Opening it would wait forever for a writer."""
    originals.keep(home, 2)
    make(originals.path(home, 1))
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.timestamps() == [timestamp(2)]
    assert originals.names(home) == [f"{timestamp(1)}_ID.json.bad"]


def test_a_file_that_vanished_is_skipped(home: Path, begin: Begin, moody: MoodyServer) -> None:
    """Someone may have tidied up."""
    first, _ = originals.keep(home, 1, 2)
    legacy = LegacyPosts(home, AGENT_ID)
    first.unlink()
    drained(begin, legacy)
    assert moody.timestamps() == [timestamp(2)]


def test_a_file_that_the_server_keeps_refusing_is_renamed(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """To `.refused`, after three refusals by a healthy server; the others are sent."""
    originals.keep(home, 1, 2, 3)
    moody.mood = refusing(timestamp(2))
    legacy = LegacyPosts(home, AGENT_ID)
    drained(begin, legacy)
    assert moody.timestamps() == [timestamp(1), timestamp(3)]
    assert originals.names(home) == [f"{timestamp(2)}_ID.json.refused"]
    assert (legacy.taken, legacy.refused, legacy.waiting) == (2, 1, 0)
    assert len(moody.bodies) == 2 + 3 + 1  # the two, three attempts, and a test post


def test_a_file_that_is_too_large_for_a_proxy_is_renamed(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """It cannot be split."""
    originals.keep(home, 1)
    moody.mood = too_large_above(1000)
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert originals.names(home) == [f"{timestamp(1)}_ID.json.refused"]


def test_a_server_that_accepts_nothing_causes_no_renaming(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """Its disk is full: the files are not to blame."""
    originals.keep(home, 1, 2)
    moody.mood = disk_full
    posting = begin(LegacyPosts(home, AGENT_ID))
    posting.start()
    posting.wait_for_error("it refuses a test post, too")
    moody.mood = accepting
    wait_for(lambda: moody.timestamps() == [timestamp(1), timestamp(2)], what="both")


def test_a_file_that_cannot_be_removed_is_sent_once(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """It must not cause an endless loop of posts."""
    first, _ = originals.keep(home, 1, 2)

    def mood(body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if not first.is_dir():
            first.unlink()
            first.mkdir()
        return accepting(body)

    moody.mood = mood
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.timestamps() == [timestamp(1), timestamp(2)]


def test_a_file_that_cannot_be_renamed_blocks_nothing(
    home: Path, begin: Begin, moody: MoodyServer
) -> None:
    """It is skipped, and stays where it is."""
    bad, _ = originals.keep(home, 1, 2)
    bad.write_bytes(b"no post")
    originals.write(bad.with_name(f"{bad.name}.bad") / "something", b"")
    drained(begin, LegacyPosts(home, AGENT_ID))
    assert moody.timestamps() == [timestamp(2)]
    assert bad.exists()


def test_a_missing_directory_has_no_posts(home: Path) -> None:
    """On a host that never ran the original."""
    legacy = LegacyPosts(home, AGENT_ID)
    assert (legacy.waiting, legacy.oldest()) == (0, None)


def test_a_file_in_place_of_the_directory_has_no_posts(home: Path) -> None:
    """It is no reason to fail."""
    originals.write(home / AGENT_ID, b"")
    assert LegacyPosts(home, AGENT_ID).waiting == 0


# Which contents are sent.

ENVELOPE_MS = 1_900_000_000_123


def put(*places: tuple[list[str], object]) -> bytes:
    """The real post with some values replaced."""
    content = post()
    for (*way, last), value in places:
        inner: Any = content
        for key in way:
            inner = inner[key]
        inner[last] = value
    return json.dumps(content).encode()


def pair(key: str, value: object) -> bytes:
    """The real post with its first pair replaced."""
    return put((["pattoo_datapoints", "key_value_pairs", "0"], [key, value]))


def test_only_the_envelope_time_of_a_real_post_changes() -> None:
    """The server sees what the original would have sent, under a new name."""
    sent = json.loads(with_envelope(json.dumps(GOLDEN).encode(), AGENT_ID, ENVELOPE_MS))
    assert sent == {**GOLDEN, "pattoo_agent_timestamp": ENVELOPE_MS}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'"text"', b"{}", b"\xff\xfe\x00", b"[" * 100_000,
     json.dumps(GOLDEN).encode()[:-20], b'{"pattoo_agent_id": "x"}'],
)  # fmt: skip
def test_a_file_that_is_not_a_post_is_not_sent(content: bytes) -> None:
    """Half a file from a full disk, or something else entirely."""
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
def test_a_malformed_post_is_not_sent(way: list[str], value: object) -> None:
    """The server answers 500 to some of these, and 200 to the others, but stores nothing."""
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
def test_a_post_that_would_break_the_server_is_not_sent(key: str, value: object) -> None:
    """It would answer 200, and then stop for every agent or lose this agent's batch."""
    with pytest.raises(WireError):
        with_envelope(pair(key, value), AGENT_ID, ENVELOPE_MS)


def test_a_number_larger_than_any_float_is_not_sent() -> None:
    """`1e999` is valid JSON, and becomes infinity when it is read."""
    content = pair("pattoo_value", 0.25).replace(b"0.25", b"1e999")
    assert b"1e999" in content
    with pytest.raises(WireError):
        with_envelope(content, AGENT_ID, ENVELOPE_MS)


@pytest.mark.parametrize("value", [0, -1.5, 2**64, 1e29, None, True, "12.5", "up"])
def test_values_that_a_server_stores_or_skips_are_sent(value: object) -> None:
    """One odd datapoint is no reason to hold back the others."""
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
    """No other error is raised, and a post is always strict JSON."""
    try:
        sent = with_envelope(put((way, value)), AGENT_ID, ENVELOPE_MS)
    except WireError:
        return
    assert json.loads(sent, parse_constant=pytest.fail)["pattoo_agent_timestamp"] == ENVELOPE_MS

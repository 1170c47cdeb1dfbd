"""What this agent sends, read and recomputed by the original library."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from hashlib import sha512
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pattoo_shared import converter
from pattoo_shared.constants import DATA_STRING
from pattoo_shared.variables import (
    AgentPolledData,
    DataPoint,
    DataPointMetadata,
    TargetDataPoints,
)

from pattoo_mp.collect.poller import Poller
from pattoo_mp.model import COUNTER64, Layout, Origin, Poll, Series, Value
from pattoo_mp.program import AUTONOMOUS
from pattoo_mp.upload.pattoo.transport import make_test_post
from pattoo_mp.wire.checksum import NOT_HASHED, series_checksum
from pattoo_mp.wire.encode import encode
from pattoo_mp.wire.safe import normalise, sendable
from tests.support.sources import BY_DEFAULT
from tests.wire.posts import datapoints, pair_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Made = Callable[[], tuple[bytes, list["Point"]]]

GOLDEN = Path(__file__).parents[1] / "data" / "golden_post.json"
INTERVAL_MS = 300_000
TICK_MS = 1_800_000_000_000
ORIGIN = Origin("a5" * 32, socket.getfqdn())


@dataclass(frozen=True)
class Point:
    """One datapoint that the server should have after a post."""

    series: Series
    interval_ms: int
    timestamp_ms: int
    value: Value


def polled(origin: Origin = ORIGIN, interval_ms: int = INTERVAL_MS) -> tuple[Layout, Poll]:
    """A real poll of this host."""
    return Poller(BY_DEFAULT, origin, interval_ms).poll(TICK_MS)


def points(layout: Layout, poll: Poll) -> list[Point]:
    """The datapoints of a poll."""
    return [
        Point(series, layout.interval_ms, poll.timestamp_ms, value)
        for series, value in zip(layout.series, poll.values(), strict=True)
        if sendable(value)
    ]


def several() -> tuple[bytes, list[Point]]:
    """One post of several polls of several layouts, and its expected datapoints."""
    whole, first = polled()
    fewer, second = Poller(BY_DEFAULT[:3], ORIGIN, INTERVAL_MS).poll(TICK_MS + INTERVAL_MS)
    faster, third = Poller(BY_DEFAULT[-2:], ORIGIN, 1000).poll(TICK_MS + INTERVAL_MS + 1000)
    fourth = Poll.of(whole, TICK_MS + 2 * INTERVAL_MS, first.values())
    polls = [(whole, first), (fewer, second), (faster, third), (whole, fourth)]
    layouts = {layout.identifier: layout for layout, _ in polls}
    body = encode(layouts, [poll for _, poll in polls], TICK_MS)
    return body, [point for layout, poll in polls for point in points(layout, poll)]


def one() -> tuple[bytes, list[Point]]:
    """A post of one poll of this host, and its expected datapoints."""
    layout, poll = polled()
    return encode({layout.identifier: layout}, [poll], TICK_MS), points(layout, poll)


def original_posts(layout: Layout, values: Sequence[Value], agent: AgentPolledData) -> list[Any]:
    """The pairs of each datapoint as the original agent's own classes make them."""
    target = TargetDataPoints(layout.origin.hostname)
    for series, value in zip(layout.series, values, strict=True):
        point = DataPoint(series.key, value, data_type=series.data_type, timestamp=TICK_MS)
        for name, text in series.metadata:
            counts = name not in NOT_HASHED
            point.add(DataPointMetadata(name, text, update_checksum=counts))
        target.add(point)
    agent.add(target)
    body = json.dumps(converter.posting_data_points(converter.agentdata_to_post(agent)))
    return pair_lists(body.encode())


@pytest.mark.parametrize("make", [one, several])
def test_the_original_library_accepts_every_datapoint(make: Made) -> None:
    """The functions that the server's ingester calls to read a post drop none of ours."""
    body, sent = make()
    assert len(sent) > 20
    assert len(converter.cache_to_keypairs(json.loads(body))) == len(sent)


@pytest.mark.parametrize("make", [one, several])
def test_the_original_library_reads_what_was_polled(make: Made) -> None:
    """Key, value, time, type, interval, origin and metadata reach the database unchanged."""
    body, sent = make()
    records = converter.cache_to_keypairs(json.loads(body))
    for record, point in zip(records, sent, strict=True):
        assert record.pattoo_key == point.series.key
        assert record.pattoo_value == point.value
        assert record.pattoo_timestamp == point.timestamp_ms
        assert record.pattoo_data_type == point.series.data_type
        assert record.pattoo_agent_polling_interval == str(point.interval_ms)
        assert record.pattoo_metadata == sorted(normalise(point.series.metadata))
        assert record.pattoo_agent_id == ORIGIN.agent_id
        assert record.pattoo_agent_program == AUTONOMOUS.name
        assert record.pattoo_agent_hostname == ORIGIN.hostname
        assert record.pattoo_agent_polled_target == ORIGIN.hostname


def test_the_original_library_accepts_a_test_post() -> None:
    """Its datapoint is complete, so the ingester does not take the post for an empty one."""
    post = json.loads(make_test_post(ORIGIN.agent_id, TICK_MS))
    (record,) = converter.cache_to_keypairs(post)
    assert (record.pattoo_data_type, record.pattoo_timestamp) == (DATA_STRING, TICK_MS)
    assert isinstance(record.pattoo_value, str)
    assert record.pattoo_agent_id == ORIGIN.agent_id


def test_the_original_library_keys_its_database_by_our_checksum() -> None:
    """A series' row is found by the hash of the agent, the target and the checksum we send."""
    body, sent = one()
    records = converter.cache_to_keypairs(json.loads(body))
    for record, point in zip(records, sent, strict=True):
        checksum = series_checksum(
            point.series.key, point.series.data_type, normalise(point.series.metadata), ORIGIN
        )
        keyed = f"{ORIGIN.agent_id}{ORIGIN.hostname}{checksum}"
        assert record.pattoo_checksum == sha512(keyed.encode()).hexdigest()


def test_the_original_library_drops_a_datapoint_that_lacks_a_pair(original_home: Path) -> None:
    """So the tests above would notice an incomplete one."""
    body, sent = one()
    content = json.loads(body)
    content["pattoo_datapoints"]["datapoint_pairs"][0].pop()
    assert len(converter.cache_to_keypairs(content)) == len(sent) - 1
    assert "Invalid cache data" in original_home.read_text()


def test_the_checksums_of_this_host_are_those_of_the_original_classes() -> None:
    """A database that the original agent filled continues with the same series."""
    agent = AgentPolledData(AUTONOMOUS.name, INTERVAL_MS // 1000)
    layout, poll = polled(Origin(agent.agent_id, agent.agent_hostname))
    values = [value if sendable(value) else 0 for value in poll.values()]
    whole = Poll.of(layout, TICK_MS, values)
    ours = datapoints(encode({layout.identifier: layout}, [whole], TICK_MS))
    theirs = [dict(pairs) for pairs in original_posts(layout, values, agent)]
    assert ours == theirs


def test_odd_metadata_has_the_checksum_of_the_original_classes() -> None:
    """Case, white space, duplicate keys and other scripts count as in the original."""
    agent = AgentPolledData(AUTONOMOUS.name, INTERVAL_MS // 1000)
    metadata = ((" Disk ", " SDA\t"), ("DISK", "sdb"), ("Größe", "ñ 日本"), ("empty", ""))
    odd = Series("  Disk_IO ", COUNTER64, (*metadata, ("release", "6"), ("version", "#1")))
    layout = Layout(Origin(agent.agent_id, agent.agent_hostname), INTERVAL_MS, (odd,))
    ours = encode({layout.identifier: layout}, [Poll.of(layout, TICK_MS, [7])], TICK_MS)
    assert datapoints(ours) == [dict(pairs) for pairs in original_posts(layout, [7], agent)]


def golden_pairs() -> list[list[tuple[str, Any]]]:
    """The datapoints of a real post of the original agent, with their pairs in order."""
    return pair_lists(GOLDEN.read_bytes())


def metadata_of(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The pairs that are metadata, in order."""
    return tuple((key, value) for key, value in pairs if not key.startswith("pattoo_"))


def test_the_checksums_of_the_golden_post_are_reproduced() -> None:
    """From key, type, metadata and origin, for each series of the real post."""
    assert golden_pairs()
    for pairs in golden_pairs():
        point = dict(pairs)
        origin = Origin(
            point["pattoo_agent_id"], point["pattoo_agent_hostname"], point["pattoo_agent_program"]
        )
        assert point["pattoo_agent_polled_target"] == origin.hostname
        found = series_checksum(
            point["pattoo_key"], point["pattoo_data_type"], metadata_of(pairs), origin
        )
        assert found == point["pattoo_checksum"]


def test_the_golden_post_encoded_again_is_the_same_for_the_server() -> None:
    """Its series as a layout, its values as a poll: the original library reads the same from both."""
    golden = json.loads(GOLDEN.read_bytes())
    found = [(dict(pairs), metadata_of(pairs)) for pairs in golden_pairs()]
    first = found[0][0]
    layout = Layout(
        Origin(first["pattoo_agent_id"], first["pattoo_agent_hostname"]),
        golden["pattoo_agent_polling_interval"],
        tuple(Series(p["pattoo_key"], p["pattoo_data_type"], m) for p, m in found),
    )
    poll = Poll.of(layout, TICK_MS, [point["pattoo_value"] for point, _ in found])
    body = encode({layout.identifier: layout}, [poll], golden["pattoo_agent_timestamp"])
    ours = converter.cache_to_keypairs(json.loads(body))
    theirs = converter.cache_to_keypairs(golden)
    assert ours == [record._replace(pattoo_timestamp=TICK_MS) for record in theirs]


def test_the_families_of_this_host_are_those_of_the_golden_post() -> None:
    """Each key in both has the same type, and metadata with the same keys in the same order."""
    golden = {
        (point["pattoo_key"], point["pattoo_data_type"], tuple(k for k, _ in metadata_of(pairs)))
        for pairs in golden_pairs()
        for point in [dict(pairs)]
    }
    layout, _ = polled()
    ours = {(s.key, s.data_type, tuple(k for k, _ in s.metadata)) for s in layout.series}
    common = {key for key, _, _ in golden} & {key for key, _, _ in ours}
    assert {"cpu_times_user", "cpu_times_percent_idle", "memory_total"} <= common
    assert {"swap_memory_sin", "network_io_bytes_sent"} <= common
    assert {row for row in ours if row[0] in common} == {row for row in golden if row[0] in common}

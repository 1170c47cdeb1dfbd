"""The checksum that names a series."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from pattoo_mp.model import COUNTER64, FLOAT, Layout, Poll, Series
from pattoo_mp.wire.checksum import series_checksum
from pattoo_mp.wire.encode import encode
from tests.wire.posts import ORIGIN, datapoints

METADATA = (("type", "Linux"), ("cpus", "2"))


def checksum(*metadata: tuple[str, str], key: str = "load", data_type: int = FLOAT) -> str:
    """The checksum of a series of `ORIGIN`."""
    return series_checksum(key, data_type, metadata, ORIGIN)


def sent_checksum(*metadata: tuple[str, str], key: str = "load") -> str:
    """The checksum of a series in a post, after its text was made safe."""
    layout = Layout(ORIGIN, 1000, (Series(key, FLOAT, metadata),))
    body = encode({layout.identifier: layout}, [Poll.of(layout, 1000, [1])], 1)
    sent: str = datapoints(body)[0]["pattoo_checksum"]
    return sent


def test_it_is_the_chain_of_digests_that_the_server_expects() -> None:
    """Key and type first, then each pair in order, then the four of the origin."""
    chained = sha256(b"load101").hexdigest()
    for pair in (
        "typeLinux",
        "cpus2",
        "pattoo_agent_hostname" + ORIGIN.hostname,
        "pattoo_agent_id" + ORIGIN.agent_id,
        "pattoo_agent_polled_target" + ORIGIN.hostname,
        "pattoo_agent_program" + ORIGIN.program,
    ):
        chained = sha256((chained + pair).encode()).hexdigest()
    assert checksum(*METADATA) == chained


def test_it_is_stable() -> None:
    """The same series has the same checksum in any process."""
    assert checksum(*METADATA) == (
        "67285f91739ab8b08e48388032336d9356f9c19afb83d0b7c73fc8b6520f87d1"
    )


@pytest.mark.parametrize("name", ["release", "version"])
def test_release_and_version_do_not_count(name: str) -> None:
    """A kernel update does not start new charts."""
    assert checksum((name, "6.1"), *METADATA) == checksum(*METADATA)


def test_the_interval_does_not_count() -> None:
    """A changed interval keeps the series."""
    slow = Layout(ORIGIN, 300_000, (Series("load", FLOAT, METADATA),))
    body = encode({slow.identifier: slow}, [Poll.of(slow, 300_000, [1])], 1)
    assert datapoints(body)[0]["pattoo_checksum"] == sent_checksum(*METADATA)


def test_neighbours_differ() -> None:
    """Another key, type, value, name or order makes another series."""
    neighbours = [
        checksum(*METADATA),
        checksum(*METADATA, key="loads"),
        checksum(*METADATA, data_type=COUNTER64),
        checksum(*METADATA[:1]),
        checksum(*METADATA, ("disk", "sda")),
        checksum(*METADATA, ("disk", "sdb")),
        checksum(*METADATA, ("disks", "sda")),
        checksum(*METADATA[::-1]),
    ]
    assert len(set(neighbours)) == len(neighbours)


@pytest.mark.parametrize("field", ["agent_id", "hostname", "program"])
def test_each_part_of_the_origin_counts(field: str) -> None:
    """Another agent, host or program has its own series."""
    other = replace(ORIGIN, **{field: "other"})
    assert series_checksum("load", FLOAT, METADATA, other) != checksum(*METADATA)


def test_the_case_of_keys_and_the_space_around_text_do_not_count() -> None:
    """Keys are lower-cased and stripped, values stripped, before hashing."""
    assert sent_checksum((" Type", "Linux "), ("CPUS", "2")) == sent_checksum(*METADATA)
    assert sent_checksum(*METADATA, key=" LOAD ") == sent_checksum(*METADATA)


def test_the_case_of_values_counts() -> None:
    """Values are not lower-cased."""
    assert sent_checksum(("type", "linux")) != sent_checksum(("type", "Linux"))


def test_the_second_of_duplicate_keys_does_not_count() -> None:
    """A duplicate key keeps its first value, in the checksum too."""
    assert sent_checksum(*METADATA, ("TYPE", "other")) == sent_checksum(*METADATA)


def test_bytes_that_are_not_utf8_count() -> None:
    """Two mount points that differ in a stray byte are two series."""
    assert sent_checksum(("mount", "/\udcff")) != sent_checksum(("mount", "/\udcfe"))


def test_a_host_name_that_is_not_utf8_has_a_checksum() -> None:
    """The kernel accepts any bytes as a host name; such a host's series are sent, too."""
    odd = replace(ORIGIN, hostname="caf\udce9")
    layout = Layout(odd, 1000, (Series("load", FLOAT),))
    body = encode({layout.identifier: layout}, [Poll.of(layout, 1000, [1])], 1)
    sent = datapoints(body)[0]
    assert sent["pattoo_agent_hostname"] == "caf\\xe9"
    assert sent["pattoo_checksum"] == series_checksum(
        "load", FLOAT, (), replace(ORIGIN, hostname="caf\\xe9")
    )

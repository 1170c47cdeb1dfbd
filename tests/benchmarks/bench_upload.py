"""Encoder, spool, channel and link, with polls of this host."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.values import NO_FILES, REMOTE_WRITE, Output
from pattoo_mp.ipc.channel import Channel
from pattoo_mp.ipc.link import Link
from pattoo_mp.ipc.messages import Kind
from pattoo_mp.model import Origin
from pattoo_mp.upload.remote_write.naming import PattooNaming
from pattoo_mp.upload.remote_write.receiver import Receiver
from pattoo_mp.upload.remote_write.samples import Batch
from pattoo_mp.wire.encode import encode
from tests.benchmarks.hosts import polls
from tests.support.sources import BY_DEFAULT
from tests.support.spools import AMPLE, OUTPUT, open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from pattoo_mp.model import Layout, Poll

Polls = tuple["Layout", list["Poll"]]
TEN_HZ = 10
FULL = 100


@pytest.fixture(scope="module")
def polled() -> Polls:
    """Real polls, as many as fill a post of a backlog."""
    return polls(Poller(BY_DEFAULT, Origin("a5" * 32, "localhost"), 100), FULL)


@pytest.mark.parametrize("number", [1, TEN_HZ, FULL])
def test_encode(benchmark: BenchmarkFixture, polled: Polls, number: int) -> None:
    """Encode this number of polls in one post."""
    layout, some = polled
    benchmark(encode, {layout.identifier: layout}, some[:number], 1)


@pytest.mark.parametrize("number", [1, 2 * TEN_HZ, FULL])
def test_encode_for_remote_write(benchmark: BenchmarkFixture, polled: Polls, number: int) -> None:
    """Encode and compress this number of polls in one request; at 10 Hz, one has 20."""
    layout, some = polled
    output = Output(REMOTE_WRITE, "metrics", ("http://localhost",), NO_FILES)
    receiver = Receiver(PattooNaming(output), "http://localhost")
    layouts = {layout.identifier: layout}
    receiver.note_sent(Batch(some[:1], layouts))  # so metadata is not in each request
    body = benchmark(receiver.body, layouts, some[:number])
    samples = number * len(layout.series)
    assert benchmark.stats is not None
    benchmark.extra_info["samples/s"] = round(samples / benchmark.stats.stats.mean)
    benchmark.extra_info["bytes/sample"] = round(len(body) / samples, 2)


def test_spool_append(benchmark: BenchmarkFixture, polled: Polls, tmp_path: Path) -> None:
    """One commit, with its sync, of a second's polls at 10 Hz."""
    layout, some = polled
    spool = open_spool(tmp_path / "spool", AMPLE)
    number = count(1)
    packed = {layout.identifier: layout.packed}

    def keep() -> None:
        spool.append([(next(number), poll) for poll in some[:TEN_HZ]], packed, "c")

    benchmark(keep)
    spool.close()


def test_spool_drain(benchmark: BenchmarkFixture, polled: Polls, tmp_path: Path) -> None:
    """A full post from the spool: read, encoded, removed."""
    layout, some = polled
    spool = open_spool(tmp_path / "spool", AMPLE)
    number = count(1)
    packed = {layout.identifier: layout.packed}

    def fill() -> None:
        spool.append([(next(number), poll) for poll in some], packed, "c")

    def drain() -> None:
        found = spool.oldest(OUTPUT, FULL)
        encode({layout.identifier: layout}, [spooled.poll for spooled in found], 1)
        spool.acknowledge(OUTPUT, found[-1].id)

    benchmark.pedantic(drain, setup=fill, rounds=50)  # type: ignore[no-untyped-call]
    spool.close()


def test_channel(benchmark: BenchmarkFixture, polled: Polls) -> None:
    """A poll through the channel: put, leased, acknowledged."""
    _, some = polled
    channel = Channel()
    number = count(1)

    def through() -> None:
        channel.put(some[0])
        channel.lease(1 << 20)
        channel.acknowledge(next(number))

    benchmark(through)


def test_link(benchmark: BenchmarkFixture, polled: Polls) -> None:
    """A poll from one process to another: packed, sent, received, unpacked."""
    _, some = polled
    ours, theirs = Link.pair()
    poll = some[0]

    def over() -> None:
        ours.send(Kind.POLL, poll.layout_id, poll.timestamp_ms, poll.packed, "", 1000)
        theirs.receive()

    benchmark(over)
    ours.close()
    theirs.close()

"""A spool with a backlog: its size, the cost of draining it, and the agent's memory meanwhile."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

from pattoo_mp import identity
from pattoo_mp.collect import registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.doctor.polls import DEFAULT
from pattoo_mp.model import Poll
from pattoo_mp.upload.spooled import Outbox, SpooledPosts
from pattoo_mp.wire.encode import encode
from tests.benchmarks.noise import Figure, once, processors
from tests.benchmarks.pace import ticks
from tests.benchmarks.subjects import TheAgent
from tests.support.spools import AMPLE, OUTPUT, open_spool
from tests.support.usage import memory_kb

if TYPE_CHECKING:
    from pathlib import Path

_COMMIT = 1_000
_SAMPLES = 20
_DRAINED = 10_000
_LOOKS = 127
_LOOK_HZ = 100
_NO_HURRY_S = 20.0


@dataclass(frozen=True)
class Backlog:
    """A spool of `polls`: bytes per datapoint, datapoints drained a second, the agent's memory."""

    polls: int
    bytes_a_datapoint: float
    drained_a_s: Figure
    memory_mb: float


def backlog(home: Path, port: int, hz: float, polls: int) -> Backlog:
    """Fill a spool; drain a part of it in this process, and the rest with the agent."""
    subject = TheAgent(home, port, hz)
    datapoints = _fill(subject, hz, polls)
    size = subject.agent.spool.stat().st_size / (datapoints * polls)
    before = processors()
    drained_a_s = _drain(subject.agent.spool, datapoints)
    drained = once(drained_a_s, processors().other_since(before))
    try:
        subject.start()
        samples: list[int] = []
        for _ in range(_SAMPLES):
            time.sleep(0.5)
            samples.append(sum(memory_kb(pid) for pid in subject.processes().values()))
    finally:
        subject.end()
    return Backlog(polls, size, drained, statistics.median(samples[_SAMPLES // 2 :]) / 1000)


def _fill(subject: TheAgent, hz: float, polls: int) -> int:
    """Store real polls, in a real layout, dated in the past. Return the number of datapoints of one."""
    daemon = subject.agent.home / "daemon"
    (subject.agent.home / "cache").mkdir(parents=True, mode=0o700)
    origin = identity.origin(daemon / "agent_id" / "pattoo_agent_os_autonomousd.agent_id")
    step = round(1000 / hz)
    # On a busy host, too, all polls must have the series of the first.
    poller = Poller(registry.sources(_NO_HURRY_S, DEFAULT), origin, step)
    layout, first = poller.poll(0)
    # As many as a post holds, a moment apart, so that no two polls of a post have the same values.
    looks = [first, *(poller.poll(0)[1] for _ in islice(ticks(_LOOK_HZ), _LOOKS))]
    begin = time.time_ns() // 1_000_000 // step * step - polls * step
    spool = open_spool(subject.agent.spool, AMPLE)
    for some in range(0, polls, _COMMIT):
        batch = [
            (number + 1, Poll(layout.identifier, begin + number * step, look.packed))
            for number, look in zip(
                range(some, min(some + _COMMIT, polls)), cycle(looks), strict=False
            )
        ]
        spool.append(batch, {layout.identifier: layout.packed}, "benchmark")
    spool.close()
    return len(layout.series)


def _drain(path: Path, datapoints: int) -> float:
    """Read, encode and acknowledge. Return the datapoints per second of processor time."""
    spool = open_spool(path, AMPLE)
    posts = SpooledPosts(Outbox(spool, OUTPUT), lambda: 1, encode)
    done, began = 0, time.process_time()
    left = max(spool.account(OUTPUT).waiting // 2, spool.account(OUTPUT).waiting - _DRAINED)
    while spool.account(OUTPUT).waiting > left:
        post = posts.oldest()
        assert post is not None
        done += post.accepted() * datapoints
    spent = time.process_time() - began
    spool.close()
    return done / spent

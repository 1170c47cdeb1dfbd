"""Several outputs: what a second one costs, bytes on the wire, and four outputs beside one that hangs."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.figures import noise
from tests.benchmarks.remote_sink import RemoteSink
from tests.benchmarks.report import table
from tests.benchmarks.side_by_side import Measured, measure
from tests.benchmarks.subjects import TheAgent
from tests.receiver.process import Receiver
from tests.support.server import PattooServer
from tests.support.usage import memory_kb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.noise import Figure

ONE, TWO, REMOTE = "one output", "a second pattoo server", "a second output by remote write"
#: What the page says above the table.
TEXT: Final = """\
Processor time is measured over the same windows as that of an agent with one output, memory with each agent
running alone, in turn. Bytes are those that the receiver reads from its socket. Of the five outputs, two are
pattoo servers, and three take remote write. The one that hangs is the last: it takes connections and requests,
and never answers. At 10 Hz, polls are committed to the spool once a second, and posted every two seconds.
"""
_WHY: Final = " ([why it is not less](decisions/033-remote-write.md))"
#: The memory of each number of outputs is measured so often, in turn.
_TURNS: Final = 3
_SETTLE_S: Final = 8.0
_SAMPLES: Final = 5


@dataclass(frozen=True)
class Outputs:
    """The results: costs side by side, memory (MB, alone), bytes a sample, and lags (s) of four outputs.

    `lags` and `missed` are without and with a fifth output that hangs.
    """

    measured: Measured
    memory_mb: dict[str, float]
    bytes_a_sample: float
    samples_a_request: float
    lags: tuple[Lags, Lags]
    missed: tuple[int, int]

    def more_ms(self, name: str) -> Figure:
        """Return the processor time (ms a poll) that a second output adds."""
        return self.measured.more_ms(name, ONE)


@dataclass(frozen=True)
class Lags:
    """Of four outputs: the median and the longest time (s) from a poll to its arrival."""

    median_s: float
    longest_s: float


def outputs(home: Path, hz: float, rounds: int, seconds: float) -> Outputs:
    """Measure all, in about five minutes."""
    with _places(home) as (port, second, sink):
        variants = {
            ONE: [{"kind": "pattoo"}],
            TWO: [{"kind": "pattoo"}, _pattoo("second", second)],
            REMOTE: [{"kind": "pattoo"}, _remote("metrics", sink)],
        }

        def subjects(what: str) -> list[TheAgent]:
            return [
                TheAgent(home / f"{what}{number}", port, hz, name=name, outputs=json.dumps(some))
                for number, (name, some) in enumerate(variants.items())
            ]

        memory = _memory(subjects("alone"))
        sink.requests.clear()
        measured = measure(subjects("beside"), hz, rounds, seconds)
        # The first has metadata, too, which goes once an hour; the last may be a part of a poll's.
        requests = sink.requests[1:]
        samples = sum(len(request.times_ms) for request in requests)
        sent = sum(request.size for request in requests)
    lags, missed = zip(
        *(
            _five(home / f"five{hangs:d}", hz, rounds * seconds, hangs=hangs)
            for hangs in (False, True)
        ),
        strict=True,
    )
    return Outputs(measured, memory, sent / samples, samples / len(requests), lags, missed)


@contextmanager
def _places(home: Path) -> Iterator[tuple[int, int, RemoteSink]]:
    """Two pattoo servers, by their ports, and a receiver of remote write."""
    receivers = []
    sink = RemoteSink()
    try:
        for name in ("first", "second"):
            (home / name).mkdir(parents=True)
            receivers.append(Receiver(home / name))
        yield receivers[0].port, receivers[1].port, sink
    finally:
        for receiver in receivers:
            receiver.end()
        sink.close()


def _pattoo(name: str, port: int) -> dict[str, Any]:
    return {"kind": "pattoo", "name": name, "servers": [f"http://127.0.0.1:{port}"]}


def _remote(name: str, sink: RemoteSink) -> dict[str, Any]:
    return {"kind": "remote_write", "name": name, "url": sink.url}


def _memory(subjects: Sequence[TheAgent]) -> dict[str, float]:
    """Return the memory (PSS, MB) of each, alone, as the median of several turns."""
    found: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(_TURNS):
        for subject in subjects:
            try:
                subject.start()
                pids = subject.processes().values()
                time.sleep(_SETTLE_S)
                for _ in range(_SAMPLES):
                    time.sleep(0.5)
                    found[subject.name].append(sum(memory_kb(pid) for pid in pids) / 1000)
            finally:
                subject.end()
    return {name: statistics.median(some) for name, some in found.items()}


def _five(home: Path, hz: float, seconds: float, *, hangs: bool) -> tuple[Lags, int]:
    """Run an agent with five outputs, of which the last may hang. Return lags of four, missed ticks."""
    with ExitStack() as stack:
        servers = [PattooServer() for _ in range(2)]
        sinks = [RemoteSink(), RemoteSink(), RemoteSink(hangs=hangs)]
        for server in servers:
            stack.callback(server.close)
        for sink in sinks:
            stack.callback(sink.close)
        places = [
            *(_pattoo(f"p{number}", server.port) for number, server in enumerate(servers)),
            *(_remote(f"r{number}", sink) for number, sink in enumerate(sinks)),
        ]
        subject = TheAgent(home, servers[0].port, hz, outputs=json.dumps(places))
        stack.callback(subject.end)
        subject.start()
        time.sleep(_SETTLE_S)
        begin = time.time()
        missed = sum(subject.agent.status()["missed"].values())
        time.sleep(seconds)
        missed = sum(subject.agent.status()["missed"].values()) - missed
        assert bool(sinks[-1].requests) != hangs
    lags = [
        post.arrived - time_ms / 1000
        for server in servers
        for post in server.posts
        if post.arrived > begin
        for time_ms in post.timestamps()
    ]
    lags += [
        request.arrived - time_ms / 1000
        for sink in sinks[:2]
        for request in sink.requests
        if request.arrived > begin
        for time_ms in set(request.times_ms)
    ]
    return Lags(statistics.median(lags), max(lags)), missed


def rows(run: Outputs) -> str:
    """Return the table of targets and results."""
    before, beside = run.lags
    more = [run.memory_mb[name] - run.memory_mb[ONE] for name in (TWO, REMOTE)]
    found = [
        *(
            (f"processor time of {name}, ms per poll", "0.35", f"{run.more_ms(name):.2f}")
            for name in (TWO, REMOTE)
        ),
        *(
            (f"memory of {name} (PSS of the tree), MB{why}", "1.5", f"{mb:.1f}")
            for name, why, mb in zip((TWO, REMOTE), ("", _WHY), more, strict=True)
        ),
        (
            f"bytes sent per sample by remote write, with the heads of requests ("
            f"{run.samples_a_request:,.0f} samples each)",
            "12", f"{run.bytes_a_sample:.1f}",
        ),
        (
            "ticks missed with five outputs that are well; with one of them hanging",
            "0; 0", "; ".join(map(str, run.missed)),
        ),
        (
            "seconds from a poll to its arrival at the other four: median",
            "no more", f"{before.median_s:.2f}; {beside.median_s:.2f}",
        ),
        ("… the longest", "no more", f"{before.longest_s:.2f}; {beside.longest_s:.2f}"),
    ]  # fmt: skip
    head = (f"at {run.measured.hz:g} Hz", "target (maximum)", "result")
    return f"{table(head, found)}\nOf the windows: {noise(run.measured)}\n"

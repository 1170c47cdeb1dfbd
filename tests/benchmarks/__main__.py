"""Measures the whole agent, and those peers that are installed, in one run of about 15 minutes.

    python -m tests.benchmarks [--write docs/benchmarks.md] [--before COMMAND]

All connections are to 127.0.0.1. Each program that posts has its own receiver.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.config.families import FURTHER
from tests.benchmarks import before, machine
from tests.benchmarks import outputs as several
from tests.benchmarks import pair as pairs
from tests.benchmarks.alone import idle_wakeups, memory_mb, rate, start_and_stop
from tests.benchmarks.backlog import backlog
from tests.benchmarks.figures import BARE, Run, comparison, targets
from tests.benchmarks.late import lateness
from tests.benchmarks.report import page, table
from tests.benchmarks.scale import scale
from tests.benchmarks.side_by_side import Measured, measure
from tests.benchmarks.subjects import Collectd, NodeExporter, Program, TheAgent
from tests.receiver.process import Receiver
from tests.support.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.subjects import Subject

_ORIGINAL = "the original's library"
_TEXT = """\
Written by `make bench`, with an installed agent, as on a host, not one run from a checkout.
Processor time is user and system time of all threads. Memory is the proportional set size (PSS), which
divides shared memory among the processes that share it. The programs under "Compared with other agents"
run side by side at the same rate, each posting to its own receiver, and are measured over the same
windows of time; the values are medians over the windows. "Bare psutil" is a process that only makes the
psutil calls of a poll, at the same rate. The [decisions](decisions/index.md) say what was tried for each
target, and why some are not met.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the page, and write it if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hz", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6, help="length of a round")
    parser.add_argument("--polls", type=int, default=100_000, help="size of the backlog")
    parser.add_argument("--quick", action="store_true", help="the first table only")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="COMMAND",
        help="an agent of another release, to compare with",
    )
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)
    peers = {Collectd.name: Collectd.version(), NodeExporter.name: NodeExporter.version()}
    about = machine.rows(peers | {"VictoriaMetrics and vmagent": pairs.version()})
    home = Path(tempfile.mkdtemp(prefix="pmp-"))
    try:
        measured, posted = _side_by_side(home, arguments, peers)
        sections = [("Compared with other agents", comparison(measured))]
        if not arguments.quick:
            run = _rest(home, arguments, measured, posted)
            sections.insert(0, ("Targets", targets(run)))
            sections += _of_outputs(home, arguments)
        if arguments.before:
            sections.append(_with_before(home, arguments))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sections.append(("Test machine", table(("component", "value"), about)))
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    text = page("Benchmarks", f"{_TEXT}\nMeasured on {date}.\n", sections)
    sys.stdout.write(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return 0


def _side_by_side(
    home: Path, arguments: argparse.Namespace, peers: dict[str, str]
) -> tuple[Measured, float]:
    hz = arguments.hz
    ours, theirs = Receiver(_created(home / "r1")), Receiver(_created(home / "r2"))
    try:
        original = _original_directory(home / "original", theirs.port)
        subjects: list[Subject] = [
            TheAgent(home / "agent", ours.port, hz),
            Program(BARE, "bare", hz, 0.5, original),
            Program(_ORIGINAL, "original", hz, 0.25, original),
        ]
        if peers[Collectd.name]:
            subjects.append(Collectd(home / "collectd", hz))
        if peers[NodeExporter.name]:
            subjects.append(NodeExporter(_free_port(), hz, 0.75))
        measured = measure(subjects, hz, arguments.rounds, arguments.seconds)
        return measured, _posted(ours)
    finally:
        ours.end()
        theirs.end()


def _original_directory(home: Path, port: int) -> Agent:
    """Create what the original's library requires: directories, and a file that names the server."""
    agent = Agent(home, port=port)
    for name in ("log", "cache", "daemon"):
        (home / name).mkdir()
    agent.write(
        "pattoo_agent.yaml",
        f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {port}\n",
    )
    return agent


def _rest(home: Path, arguments: argparse.Namespace, measured: Measured, posted: float) -> Run:
    receiver = Receiver(_created(home / "r3"))
    hz, port = arguments.hz, receiver.port
    try:
        return Run(
            measured,
            posted,
            # The backlogs come last, as they leave the receiver busy.
            start_stop=start_and_stop(home / "start", port),
            memory_mb=memory_mb(home / "memory", port, hz),
            idle=idle_wakeups(home / "idle", port),
            fastest=rate(home / "fast", port, 100, 60),
            all_on=rate(home / "all", port, 100, 60, FURTHER),
            late=lateness(hz, 40),
            scale=scale(),
            small=backlog(home / "small", port, hz, 1_000),
            large=backlog(home / "large", port, hz, arguments.polls),
        )
    finally:
        receiver.end()


def _of_outputs(home: Path, arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return what several outputs cost, and the comparison with node_exporter and vmagent."""
    run = several.outputs(home / "outputs", arguments.hz, arguments.rounds, arguments.seconds)
    missing = pairs.missing()
    if missing:
        text = f"Left out: {', '.join(missing)} not installed.\n"
    else:
        text = pairs.beside(pairs.pair(home / "pair", arguments.rounds, arguments.seconds))
    return [
        ("Several outputs", f"{several.TEXT}\n{several.rows(run)}"),
        ("Beside node_exporter with vmagent", f"{pairs.TEXT}\n{text}"),
    ]


def _with_before(home: Path, arguments: argparse.Namespace) -> tuple[str, str]:
    receiver = Receiver(_created(home / "r4"))
    try:
        found = before.compare(home / "before", receiver.port, arguments)
    finally:
        receiver.end()
    return "Compared with the release before", found


def _posted(receiver: Receiver) -> float:
    """Return bytes per datapoint, over all posts."""
    with receiver.reader() as reader:
        totals = reader.totals()
    return totals.bytes / totals.datapoints


def _created(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())

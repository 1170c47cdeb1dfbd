"""Measures the whole agent, and those peers that are installed, in one run of 25 to 30 minutes.

    python -m tests.benchmarks [--write docs/benchmarks.md] [--quick] [--before COMMAND]

All connections are to 127.0.0.1. Each program that posts has its own receiver.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.config.families import FURTHER
from tests.benchmarks import before, machine, system_calls
from tests.benchmarks import outputs as several
from tests.benchmarks import pair as pairs
from tests.benchmarks.alone import idle_wakeups, memory_mb, rate, start_and_stop
from tests.benchmarks.backlog import backlog
from tests.benchmarks.figures import BARE, Costs, Run, comparison, costs, rate_name, targets
from tests.benchmarks.late import lateness
from tests.benchmarks.neighbour import SHARE
from tests.benchmarks.report import page, table
from tests.benchmarks.scale import scale
from tests.benchmarks.side_by_side import measure
from tests.benchmarks.subjects import PEERS, Collectd, Netdata, NodeExporter, Program, TheAgent
from tests.receiver.process import Receiver
from tests.support.agent import Agent
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.side_by_side import Measured
    from tests.benchmarks.subjects import Subject

_ORIGINAL = "the original's library"
_FASTEST_HZ = 100
_SLOW_ROUNDS = 5
_TEXT = """\
Written by `make bench`, with an installed agent, as on a host, not one run from a checkout.
Processor time is user and system time of all threads. Memory is the proportional set size (PSS), which
divides shared memory among the processes that share it. What is compared runs side by side at the same rate,
each at its own point of the interval, and is measured over the same windows of time. A figure is the median of
the windows, and a ratio the median of the ratios of each window; quartiles are in brackets. System calls are
counted by strace in a window of their own. "Bare psutil" is a process that only makes the psutil calls of a
poll, at the same rate. The [decisions](decisions/index.md) say what was tried for each target, and why some
are not met.

The neighbour is a process on each processor that reads more memory than the caches hold, between the ticks
of what is measured. So each poll finds its code and data cold, as on a busy host. It takes at most {share:.0%} of
the time, which at high rates is not enough to empty a large last cache.

A window does not count if other work, or the hypervisor, took more than a tenth of a processor. "Too noisy"
stands for a figure of which fewer than half of the windows are left, or whose quartiles are further apart than
a quarter of the median.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the page, and write it if requested."""
    arguments = _arguments(argv)
    # So that all that was started ends, whatever ends this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    about = machine.rows(
        {program.name: program.version() for program in PEERS}
        | {"VictoriaMetrics and vmagent": pairs.version(), "strace": system_calls.version()}
    )
    home = Path(tempfile.mkdtemp(prefix="pmp-"))
    try:
        sections = _sections(home, arguments)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sections.append(("Test machine", table(("component", "value"), about)))
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    text = page("Benchmarks", f"{_TEXT.format(share=SHARE)}\nMeasured on {date}.\n", sections)
    sys.stdout.write(text)
    if arguments.write and not arguments.quick:
        arguments.write.write_text(text, encoding="utf-8")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[10, 1, 0.1], metavar="HZ",
        help="of the comparison with others; the first is that of the targets",
    )  # fmt: skip
    parser.add_argument(
        "--rounds",
        type=int,
        help="number of windows (7, or 5 with --quick; at most 5 at less than 1 Hz)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="length of a window (6, or 5 with --quick; at least two polls)",
    )
    parser.add_argument(
        "--fastest", type=float, default=60, metavar="SECONDS", help=f"length of {_FASTEST_HZ} Hz"
    )
    parser.add_argument("--polls", type=int, default=100_000, help="size of the backlog")
    parser.add_argument(
        "--quick", action="store_true",
        help="what a poll costs, in 4 or 5 minutes; prints it, and writes no page",
    )  # fmt: skip
    parser.add_argument(
        "--before",
        type=Path,
        metavar="COMMAND",
        help="an agent of another release, to compare with",
    )
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)
    arguments.rounds = arguments.rounds or (5 if arguments.quick else 7)
    arguments.seconds = arguments.seconds or (5.0 if arguments.quick else 6.0)
    return arguments


def _sections(home: Path, arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Measure all that is asked for. Return the headings of the page, with what comes below them."""
    hz = arguments.rates[0]
    with _receiver(home / "alone") as receiver:
        port = receiver.port
        memory = memory_mb(home / "memory", port, hz)
        quiet, busy = (
            _costs(home / f"costs{busy:d}", port, arguments, busy=busy) for busy in (False, True)
        )
        found = costs(quiet, busy, memory) + _walks(busy)
        if not arguments.quick:
            found += f"\n{targets(_once(home, receiver, arguments, quiet), hz)}"
    sections = [("Targets", found)]
    if not arguments.quick:
        sections.append(("Compared with other agents", _comparisons(home, arguments)))
        sections += _of_outputs(home, arguments)
    if arguments.before:
        with _receiver(home / "r4") as receiver:
            text = before.compare(home / "before", receiver.port, hz, arguments)
        sections.append(("Compared with the release before", text))
    return sections


def _costs(home: Path, port: int, arguments: argparse.Namespace, *, busy: bool) -> Costs:
    """Measure what a poll costs, on a quiet host or with the neighbour."""
    hz = arguments.rates[0]
    _say("What a poll costs", busy=busy)
    subjects: list[Subject] = [
        TheAgent(home / "agent", port, hz),
        Program(BARE, "bare", hz, 0.5, Agent(home / "bare")),
    ]
    pair = measure(
        subjects, hz, arguments.rounds, arguments.seconds, busy=busy, calls_s=arguments.seconds
    )
    return Costs(
        pair,
        lateness(hz, 18 if arguments.quick else 30, busy=busy),
        rate(home / "fast", port, _FASTEST_HZ, arguments.fastest, busy=busy),
    )


def _walks(busy: Costs) -> str:
    """Return a sentence on what the neighbour did."""
    return "\n" + " ".join(
        f"At {hz:g} Hz the neighbour was to read {walked.asked / 1e6:,.0f} MB before each tick, and read "
        f"{sum(walked.read) / 1e6:,.0f}."
        for hz, walked in (
            (busy.pair.hz, busy.pair.walked),
            (busy.fastest.hz, busy.fastest.walked),
        )
        if walked
    ) + "\n"  # fmt: skip


def _once(home: Path, receiver: Receiver, arguments: argparse.Namespace, quiet: Costs) -> Run:
    hz, port = arguments.rates[0], receiver.port
    _say("The agent alone")
    return Run(
        posted=_posted(receiver),
        late=quiet.late,
        # The backlogs come last, as they leave the receiver busy.
        start_stop=start_and_stop(home / "start", port),
        idle=idle_wakeups(home / "idle", port),
        all_on=rate(home / "all", port, _FASTEST_HZ, arguments.fastest, FURTHER),
        scale=scale(),
        small=backlog(home / "small", port, hz, 1_000),
        large=backlog(home / "large", port, hz, arguments.polls),
    )


def _comparisons(home: Path, arguments: argparse.Namespace) -> str:
    """Return a table for each rate, on a quiet host and with the neighbour."""
    found = []
    missing = [program.name for program in PEERS if not program.version()]
    if missing:
        found.append(f"Left out: {', '.join(missing)} not installed.\n")
    if any(hz > 1 for hz in arguments.rates):
        found.append(
            f"{Netdata.name} polls in whole seconds, so it is left out at more than 1 Hz.\n"
        )
    for hz in arguments.rates:
        for busy in (False, True):
            place = home / f"beside-{hz:g}-{busy:d}"
            measured = _side_by_side(place, hz, arguments, busy=busy)
            where = "with the neighbour" if busy else "on a quiet host"
            found.append(
                f"### {rate_name(hz).replace('at', 'At')}, {where}\n\n{comparison(measured)}"
            )
    return "\n".join(found)


def _side_by_side(home: Path, hz: float, arguments: argparse.Namespace, *, busy: bool) -> Measured:
    _say(f"Compared with other agents {rate_name(hz)}", busy=busy)
    with _receiver(home / "r1") as ours, _receiver(home / "r2") as theirs:
        original = _original_directory(home / "original", theirs.port)
        subjects: list[Subject] = [
            TheAgent(home / "agent", ours.port, hz),
            Program(BARE, "bare", hz, 0.5, original),
            Program(_ORIGINAL, "original", hz, 0.25, original),
        ]
        if Collectd.version():
            subjects.append(Collectd(home / "collectd", hz))
        if NodeExporter.version():
            subjects.append(NodeExporter(free_port(), hz, 0.75))
        if Netdata.version() and hz <= 1:
            subjects.append(Netdata(home / "netdata", free_port(), hz))
        # At a slow rate windows are long.
        rounds = arguments.rounds if hz >= 1 else min(arguments.rounds, _SLOW_ROUNDS)
        return measure(
            subjects, hz, rounds, arguments.seconds, busy=busy,
            calls_s=0.0 if busy else arguments.seconds,
        )  # fmt: skip


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


def _of_outputs(home: Path, arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return what several outputs cost, and the comparison with node_exporter and vmagent."""
    _say("Several outputs")
    hz = arguments.rates[0]
    run = several.outputs(home / "outputs", hz, arguments.rounds, arguments.seconds)
    missing = pairs.missing()
    if missing:
        text = f"Left out: {', '.join(missing)} not installed.\n"
    else:
        _say("Beside node_exporter with vmagent")
        text = pairs.beside(pairs.pair(home / "pair", arguments.rounds, arguments.seconds))
    return [
        ("Several outputs", f"{several.TEXT}\n{several.rows(run)}"),
        ("Beside node_exporter with vmagent", f"{pairs.TEXT}\n{text}"),
    ]


def _say(what: str, *, busy: bool | None = None) -> None:
    """Tell the person who waits what is measured now."""
    where = {None: "", False: ", on a quiet host", True: ", with the neighbour"}[busy]
    sys.stderr.write(f"{datetime.now(UTC):%T}Z {what}{where}\n")


def _posted(receiver: Receiver) -> float:
    """Return bytes per datapoint, over all posts."""
    with receiver.reader() as reader:
        totals = reader.totals()
    return totals.bytes / totals.datapoints


@contextmanager
def _receiver(home: Path) -> Iterator[Receiver]:
    home.mkdir(parents=True)
    receiver = Receiver(home)
    try:
        yield receiver
    finally:
        receiver.end()


if __name__ == "__main__":
    sys.exit(main())

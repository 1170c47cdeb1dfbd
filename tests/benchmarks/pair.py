"""Compares this agent with node_exporter and vmagent, at 1 s, both pushing to the same VictoriaMetrics.

After a while in peace, VictoriaMetrics is away for two minutes. Meanwhile each process is killed (SIGKILL)
once, and started again as systemd would do by default, after 0.1 s. The samples lost are those of the
series that both have, `node_load1`: one a second is due from the first to the last.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.benchmarks.noise import OTHER_WORK, Figure, figure, processors
from tests.benchmarks.report import table
from tests.benchmarks.subjects import TheAgent
from tests.support.ports import at, free_port
from tests.support.prometheus import victoria_metrics
from tests.support.usage import Usage, usage
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.prometheus import Store

OURS, THEIRS = "pattoo_mp, by remote write", "node_exporter + vmagent"
#: The programs of Debian that this needs.
PROGRAMS: Final = ("prometheus-node-exporter", "vmagent", "victoria-metrics")
#: What the page says above the table.
TEXT: Final = """\
Both poll at 1 s, and push to the same VictoriaMetrics. Then this is away for two minutes, and meanwhile
each process is killed (SIGKILL) once, and started again after 0.1 s, as systemd does. A poll is lost if
VictoriaMetrics has no sample of `node_load1` for that second, after the backlog has arrived. node_exporter
reports more series than this agent does by default.
"""
_RESTART_S: Final = 0.1
_SETTLE_S: Final = 5.0
_KILL_EVERY_S: Final = 20.0
_CATCH_UP_S: Final = 120.0
#: Nothing more comes if nothing came for so long.
_QUIET_S: Final = 10.0
_SERIES: Final = "node_load1"


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def version() -> str:
    """Return the installed version, as Debian numbers it; empty if not installed."""
    if missing():
        return ""
    command = ["dpkg-query", "--show", "--showformat=${Version}", "victoria-metrics"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "of unknown version"
    return done.stdout or "of unknown version"


@dataclass
class Side:
    """The results of one side. `lost` are the seconds without a sample, of `due`."""

    processor_ms: list[float] = field(default_factory=list)
    disturbed: list[bool] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    series: int = 0
    backlog_kb: float = 0.0
    killed: list[str] = field(default_factory=list)
    lost: int = 0
    due: int = 0

    @property
    def processor(self) -> Figure:
        """The processor time, ms a second."""
        return figure(self.processor_ms, self.disturbed)


class _Kept:
    """A process that is started again whenever it ends, as systemd does."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self._command = command
        self._environment = environment
        self._ended = threading.Event()
        self.process = self._start()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self.process.pid

    def end(self) -> None:
        """End it for good."""
        self._ended.set()
        self.process.kill()
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, env=self._environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _keep(self) -> None:
        while not self._ended.is_set():
            self.process.wait()
            if not self._ended.wait(_RESTART_S):
                self.process = self._start()
        self.process.kill()
        self.process.wait()


class _Ours:
    """The agent with one output, by remote write."""

    def __init__(self, home: Path, url: str, stack: ExitStack) -> None:
        place = [{"kind": "remote_write", "url": url, "labels": {"side": "ours"}}]
        self._subject = TheAgent(home, 9, 1, outputs=json.dumps(place))
        self._agent = self._subject.agent
        self.backlog = home / "cache"
        stack.callback(self._agent.end)
        command = [*self._agent.command, "--foreground"]
        self._kept = _Kept(command, self._agent.env())
        stack.callback(self._kept.end)
        wait_for(lambda: self._agent.pid, what="a control process")
        wait_for(lambda: self._agent.status()["posts"]["count"], what="a post")

    def processes(self) -> dict[str, int]:
        """Return control and both workers."""
        return self._subject.processes()


class _Theirs:
    """node_exporter, and vmagent that scrapes it every second."""

    def __init__(self, home: Path, url: str, stack: ExitStack) -> None:
        home.mkdir()
        port, own = free_port(), free_port()
        scrape = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {
                    "job_name": "node",
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{port}"], "labels": {"side": "theirs"}}
                    ],
                }
            ],
        }
        (home / "scrape.yml").write_text(json.dumps(scrape))  # JSON is YAML
        self.backlog = home / "queue"
        self._kept = {
            "node_exporter": _Kept(
                ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
            ),
            "vmagent": _Kept(
                [
                    "vmagent",
                    f"-promscrape.config={home / 'scrape.yml'}",
                    f"-remoteWrite.url={url}",
                    f"-remoteWrite.tmpDataPath={self.backlog}",
                    f"-httpListenAddr=127.0.0.1:{own}",
                ]
            ),
        }
        for kept in self._kept.values():
            stack.callback(kept.end)

    def processes(self) -> dict[str, int]:
        """Return both."""
        return {name: kept.pid for name, kept in self._kept.items()}


def pair(home: Path, rounds: int, seconds: float, away_s: float = 120.0) -> dict[str, Side]:
    """Measure both sides in about five minutes. Needs `PROGRAMS`."""
    home.mkdir(parents=True)
    port = free_port()
    url = f"{at(port)}/api/v1/write"
    found = {OURS: Side(), THEIRS: Side()}
    with ExitStack() as stack:
        with victoria_metrics(home / "store", port):
            sides: dict[str, _Ours | _Theirs] = {
                OURS: _Ours(home / "ours", url, stack),
                THEIRS: _Theirs(home / "theirs", url, stack),
            }
            time.sleep(_SETTLE_S)
            for _ in range(rounds):
                before = {name: _usages(side) for name, side in sides.items()}
                pids = [pid for side in sides.values() for pid in side.processes().values()]
                begin = processors(pids)
                time.sleep(seconds)
                other = processors(pids).other_since(begin)
                for name, side in sides.items():
                    _note(found[name], before[name], _usages(side), seconds, other)
        _be_away(sides, found, away_s)
        back = time.time()
        with victoria_metrics(home / "store", port) as store:
            for name, label in ((OURS, "ours"), (THEIRS, "theirs")):
                _count(found[name], store, f'{{side="{label}"}}', back)
    return found


def _usages(side: _Ours | _Theirs) -> list[Usage]:
    return [usage(pid) for pid in side.processes().values()]


def _note(
    side: Side, before: list[Usage], after: list[Usage], seconds: float, other: float
) -> None:
    used = sum(a.processor_s - b.processor_s for a, b in zip(after, before, strict=True))
    side.processor_ms.append(1000 * used / seconds)
    side.disturbed.append(other > OTHER_WORK)
    side.memory_mb.append(sum(each.memory_kb for each in after) / 1000)


def _be_away(sides: dict[str, _Ours | _Theirs], found: dict[str, Side], away_s: float) -> None:
    """Kill each process once while the receiver is away. Note the backlog at the end of that."""
    until = time.monotonic() + away_s
    for name, side in sides.items():
        for process in side.processes():
            time.sleep(_KILL_EVERY_S)
            os.kill(side.processes()[process], signal.SIGKILL)
            found[name].killed.append(process)
    time.sleep(max(0.0, until - time.monotonic()))
    for name, side in sides.items():
        files = [path for path in side.backlog.rglob("*") if path.is_file()]
        found[name].backlog_kb = sum(path.stat().st_blocks * 512 for path in files) / 1000


def _count(side: Side, store: Store, selector: str, back: float) -> None:
    """Wait until the backlog has arrived, and count the seconds that have no sample."""

    def times() -> list[int]:
        store.flush()
        found = store.exported(f"{_SERIES}{selector}")
        return sorted({t // 1000 for series in found for t in series["timestamps"]})

    wait_for(
        lambda: (t := times()) and t[-1] > back + 5, _CATCH_UP_S, "samples of after the outage"
    )
    # What waited may come after what is new.
    last, seconds = -1, times()
    while last != (of_outage := sum(second < back for second in seconds)):
        last = of_outage
        time.sleep(_QUIET_S)
        seconds = times()
    side.due = seconds[-1] - seconds[0] + 1
    side.lost = side.due - len(seconds)
    exported = store.exported(selector)
    side.series = len({json.dumps(one["metric"], sort_keys=True) for one in exported})


def beside(found: dict[str, Side]) -> str:
    """Return the table of both sides."""
    rows = [
        (
            name, str(side.series), f"{side.processor:.2f}",
            side.processor.times(1000 / max(1, side.series)).brief(".1f"),
            f"{statistics.median(side.memory_mb):.1f}", f"{side.backlog_kb:,.0f}",
            ", ".join(side.killed), f"{side.lost} of {side.due}",
        )
        for name, side in found.items()
    ]  # fmt: skip
    head = (
        "at 1 s", "series", "processor, ms per second", "processor, µs per series and second",
        "memory, MB", "disk of the backlog, kB", "killed", "polls lost",
    )  # fmt: skip
    return table(head, rows)

"""The figures of the receiver: `make store` writes them into docs/receiver.md. It takes about five minutes.

Everything is measured on real receiver processes over loopback; the load comes from a process of its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.receiver.decode import COUNTER64, FLOAT, Datapoint, Post
from pattoo_mp.receiver.reading import Reader
from pattoo_mp.receiver.store import Store
from pattoo_mp.receiver.upkeep import DAY_MS
from tests.benchmarks import machine, netdata
from tests.receiver.process import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
_MARK: Final = "<!-- figures -->"
_SERIES: Final = 100
_HOUR_MS: Final = 3_600_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Values:
    """What 100 series of a host give: most stay, some count bytes, some are noise."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._counts = [0.0] * _SERIES

    @staticmethod
    def is_counter(number: int) -> bool:
        """Whether the series is a counter: of bytes, or of processor time."""
        return 40 <= number < 60 or number >= 90

    def poll(self) -> list[float]:
        """The values of the next poll."""
        chance, counts = self._chance, self._counts
        for number in range(40, 60):
            counts[number] += chance.randrange(20_000)
        for number in range(90, _SERIES):
            counts[number] = round(counts[number] + chance.randrange(100) / 100, 2)
        noise = [round(chance.gauss(30, 3), 1) for _ in range(60, 80)]
        memory = [8e9 + 4096 * int(chance.gauss(0, 500)) for _ in range(80, 90)]
        return [*map(float, range(40)), *counts[40:60], *noise, *memory, *counts[90:]]


# --- history


def fill(store: Store, agent: str, series: Sequence[int], span: range) -> int:
    """Store a poll of these series of a host for each time in `span` (ms). Return how many values."""
    step_ms = span.step
    values = Values(1)
    names = [
        (
            number,
            f"key_{number}",
            COUNTER64 if values.is_counter(number) else FLOAT,
            f"{number:064x}",
        )
        for number in series
    ]
    points: list[Datapoint] = []
    for time_ms in span:
        poll = values.poll()
        points += [
            Datapoint(
                key, poll[number], kind, time_ms, checksum, step_ms, agent, "host", "host", "p", ()
            )
            for number, key, kind, checksum in names
        ]
        if len(points) >= 10 * len(names):
            store.add(
                Post(time_ms, agent, step_ms, tuple(points)), received_ms=time_ms, size_bytes=1
            )
            points.clear()
            if time_ms // step_ms % 100 < 10:
                store.tidy(time_ms)
    return len(span) * len(names)


@dataclass(frozen=True)
class History:
    """Bytes of a value by tier (with all that belongs to it), and milliseconds of queries."""

    bytes_a_value: list[float]
    file_bytes_a_value: float
    queries: list[tuple[str, str, int, float, float]]


def history(home: Path) -> History:
    """Store a week at 1 Hz and a year at 5 minutes, and query it."""
    path = home / "db.sqlite"
    now_ms = time.time_ns() // 1_000_000 // _HOUR_MS * _HOUR_MS
    chosen = list(range(0, _SERIES, 5))
    with Store(path) as store:
        fill(store, "b" * 64, chosen, range(now_ms - 365 * DAY_MS, now_ms, 300_000))
        before = _size(path)
        stored = fill(store, "a" * 64, chosen, range(now_ms - 7 * DAY_MS, now_ms, 1_000))
        whole = (_size(path) - before) / stored
        store.tidy(now_ms)
    with closing(Reader(path)) as reader:
        tiers = [
            reader._rows(
                "SELECT total(size) / total(rows) / ? FROM blocks WHERE tier = ?", len(chosen), tier
            )[0][0]
            for tier in range(3)
        ]
    receiver = Receiver(home)
    try:
        asked = [
            ("1 h", 1, _HOUR_MS), ("1 day", 1, DAY_MS), ("1 week", 1, 7 * DAY_MS),
            ("1 week, 8 series", 8, 7 * DAY_MS), ("1 year", 2, 365 * DAY_MS),
        ]  # fmt: skip
        queries = [_query(receiver, words, which, span, now_ms) for words, which, span in asked]
    finally:
        receiver.end()
    return History(tiers, whole, queries)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def _query(
    receiver: Receiver, words: str, which: int, span_ms: int, now_ms: int
) -> tuple[str, str, int, float, float]:
    interval_ms = 300_000 if which == 2 else 1_000
    found = json.loads(receiver.get("/api/v1/series?words=key").text)["series"]
    ids = [str(each["id"]) for each in found if each["interval_ms"] == interval_ms]
    chosen = ",".join(ids[5 : 5 + (8 if which == 8 else 1)])
    path = f"/api/v1/range?series={chosen}&from={now_ms - span_ms}&to={now_ms}&points=1000"
    taken = []
    for _ in range(21):
        began = time.perf_counter()
        answer = json.loads(receiver.get(path).text)
        taken.append(1000 * (time.perf_counter() - began))
    return words, answer["resolution"], len(answer["times"]), statistics.median(taken), max(taken)


# --- load


def load(port: int, hosts: int, hz: float, seconds: float) -> None:
    """Post polls of 100 series of so many hosts. Print the milliseconds of the answers, as JSON."""
    polled = [Values(host) for host in range(hosts)]
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(hosts)]
    taken: list[float] = []
    began, number = time.time(), 0
    while time.time() < began + seconds:
        for host in range(hosts):
            due = began + (number + host / hosts) / hz if hz else 0.0
            time.sleep(max(0.0, due - time.time()))
            time_ms = round((began + number / (hz or 1000)) * 1000)
            body = _body(host, time_ms, round(1000 / hz) if hz else 1, polled[host].poll())
            sent = time.perf_counter()
            agent = f"{host:064x}"
            headers = {"Content-Type": "application/json"}
            clients[host].request("POST", f"/pattoo/api/v1/agent/receive/{agent}", body, headers)
            answer = clients[host].getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"status {answer.status}")
            taken.append(1000 * (time.perf_counter() - sent))
        number += 1
    spent = time.time() - began
    sys.stdout.write(
        json.dumps({"values": len(taken) * _SERIES, "seconds": spent, "ms": sorted(taken)})
    )


_HOST_METADATA: Final = ("release", "version", "processor", "type", "cpus", "hostname")


def _body(host: int, time_ms: int, interval_ms: int, values: Sequence[float]) -> str:
    """A post of one poll, with the pairs of a real one."""
    agent = f"{host:064x}"
    shared: list[list[object]] = [[name, f"some {name}"] for name in _HOST_METADATA]
    shared += [
        ["pattoo_agent_polling_interval", str(interval_ms)], ["pattoo_agent_hostname", f"host{host}"],
        ["pattoo_agent_id", agent], ["pattoo_agent_polled_target", f"host{host}"],
        ["pattoo_agent_program", "program"], ["pattoo_timestamp", time_ms],
        ["pattoo_data_type", FLOAT], ["pattoo_data_type", COUNTER64],
    ]  # fmt: skip
    pairs = list(shared)
    rows = []
    for number, value in enumerate(values):
        kind = 13 if Values.is_counter(number) else 12
        first = len(pairs)
        rows.append([*range(12), kind, first, first + 1, first + 2])
        pairs += [
            ["pattoo_key", f"key_{number}"], ["pattoo_value", value],
            ["pattoo_checksum", f"{number:064x}"],
        ]  # fmt: skip
    numbered = {str(number): pair for number, pair in enumerate(pairs)}
    return json.dumps(
        {
            "pattoo_agent_timestamp": time_ms, "pattoo_agent_id": agent,
            "pattoo_agent_polling_interval": interval_ms,
            "pattoo_datapoints": {"key_value_pairs": numbered, "datapoint_pairs": rows},
        }
    )  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A run under load: values a second, processor (of one core), answers in ms, memory in MB, page polls."""

    rate: float
    cpu: float
    median_ms: float
    p99_ms: float
    memory_mb: float
    page_ms: float
    page_asks: int


def under_load(home: Path, hosts: int, hz: float, seconds: float) -> Loaded:
    """Post with `hz` (0: as fast as it goes), while a page with eight charts asks ten times a second."""
    home.mkdir()
    receiver = Receiver(home)
    try:
        _run_load(receiver, hosts, hz or 1, 3)  # the series are new once
        before = _cpu_s(receiver.process.pid)
        asks: list[float] = []
        ended = threading.Event()
        page = threading.Thread(target=_page, args=(receiver, ended, asks))
        page.start()
        found = _run_load(receiver, hosts, hz, seconds)
        ended.set()
        page.join()
        used = _cpu_s(receiver.process.pid) - before
        taken = found["ms"]
        return Loaded(
            found["values"] / found["seconds"], used / found["seconds"], statistics.median(taken),
            taken[int(len(taken) * 0.99)], _memory_mb(receiver.process.pid), statistics.median(asks),
            len(asks),
        )  # fmt: skip
    finally:
        receiver.end()


def _run_load(receiver: Receiver, hosts: int, hz: float, seconds: float) -> dict[str, Any]:
    arguments = ["--load", str(receiver.port), str(hosts), str(hz), str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.receiver", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _page(receiver: Receiver, ended: threading.Event, asks: list[float]) -> None:
    """Ask as a page does: eight series, ten times a second."""
    cursor = ""
    while not ended.wait(0.1):
        began = time.perf_counter()
        answer = json.loads(
            receiver.get(f"/api/v1/newest?series=41,42,43,61,62,63,81,82{cursor}").text
        )
        asks.append(1000 * (time.perf_counter() - began))
        cursor = f"&since={answer['cursor']}"


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rows.partition("\nPss:")[2].split()[0]) / 1000


# --- the page of the documentation


def figures(home: Path, seconds: float, root: Path, told: Callable[[str], None]) -> str:
    """Measure everything. Return the figures as text for the page."""
    told("50 hosts")
    many = under_load(home / "many", 50, 1, seconds)
    told("one host at 100 Hz")
    fast = under_load(home / "fast", 1, 100, seconds / 2)
    told("as fast as it goes")
    full = under_load(home / "full", 10, 0, seconds / 2)
    told("a week at 1 Hz, and a year")
    (home / "history").mkdir()
    past = history(home / "history")
    told("beside Netdata")
    beside = _beside(root, home / "netdata", seconds)
    rows = [
        ("50 hosts of 100 series at 1 Hz", many),
        ("1 host of 100 series at 100 Hz", fast),
        ("10 hosts, as fast as it goes", full),
    ]
    lines = [
        *(f"- {name}: {value}" for name, value in machine.rows({})[:5]),
        "",
        "| load | values a second | of one core | answer, median | 99 % | memory (PSS) | the page's question |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {words} | {run.rate:,.0f} | {100 * run.cpu:.0f} % | {run.median_ms:.1f} ms | {run.p99_ms:.0f} ms"
            f" | {run.memory_mb:.0f} MB | {run.page_ms:.1f} ms |"
            for words, run in rows
        ),
        "",
        "| on the disk, a value | bytes |",
        "|---|---:|",
        *(
            f"| {name} | {size:.2f} |"
            for name, size in zip(
                ("as it came, sealed", "of a minute, sealed", "of an hour, sealed"),
                past.bytes_a_value, strict=True,
            )
        ),
        f"| the whole file after a week at 1 Hz, for each value that came | {past.file_bytes_a_value:.2f} |",
        "",
        "| range | made of | points | median | longest of 21 |",
        "|---|---|---:|---:|---:|",
        *(
            f"| {words} | {resolution} | {points} | {median:.0f} ms | {most:.0f} ms |"
            for words, resolution, points, median, most in past.queries
        ),
    ]  # fmt: skip
    return "\n".join([*lines, "", *beside])


def _beside(root: Path, home: Path, seconds: float) -> list[str]:
    version = netdata.version(root)
    if not version:
        return ["Netdata is not installed, so there is no comparison with it."]
    return [
        f"Beside {version}, of Debian's package, without its plugin processes, alarms and learning. It keeps a",
        "page of 1,024 values in memory before it writes them, so its bytes on the disk show only after hours;",
        "its makers say 0.6 for a value.",
        "",
        f"| one host at 1 s, {seconds:g} s | agent and receiver | Netdata |",
        "|---|---:|---:|",
        *netdata.beside(root, home, seconds),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the figures or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60, help="length of the longest run under load"
    )
    parser.add_argument("--write", type=Path, help="page whose figures are replaced")
    parser.add_argument(
        "--netdata", type=Path, default=Path("/"), help="where its files are below (/)"
    )
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.load:
        port, hosts, hz, seconds = arguments.load
        load(int(port), int(hosts), float(hz), float(seconds))
        return 0
    with tempfile.TemporaryDirectory(prefix="pmp-store-") as home:
        text = figures(
            Path(home),
            arguments.seconds,
            arguments.netdata,
            lambda line: print(line, file=sys.stderr),
        )
    if arguments.write is None:
        print(text)
        return 0
    page = arguments.write.read_text()
    replaced = re.sub(
        f"{_MARK}.*?{_MARK}", lambda _: f"{_MARK}\n{text}\n{_MARK}", page, flags=re.DOTALL
    )
    arguments.write.write_text(replaced)
    return 0


if __name__ == "__main__":
    sys.exit(main())

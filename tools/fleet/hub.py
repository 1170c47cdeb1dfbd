"""python -m tools.fleet.hub [--write]: let a hub ask 10,000 simulated spokes, some of them bad.

The hub is the real one, with its processes; the spokes are sockets on loopback, served by one process, and the
server that takes the posts is another. So all of them share this host's processors, and the figures of the hub are
its processes' own. With --write the table goes into docs/figures, for docs/hub.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from pattoo_mp.model import FLOAT, Layout, Origin, Poll, Series
from pattoo_mp.wire.encode import encode
from tools.fleet.simulation import as_table

if TYPE_CHECKING:
    from collections.abc import Callable

_FIGURE: Final = Path(__file__).resolve().parents[2] / "docs" / "figures" / "fleet-hub.md"
_COMMAND: Final = Path(__file__).resolve().parents[2] / "bin" / "pattoo_agent_os_hubd.py"
_ID: Final = "f" * 64
_TIME: Final = 1_111_111_111_111
_INTERVAL: Final = 987_654_321
_SERIES: Final = 95
_VALUES: Final = [number * 1.25 for number in range(_SERIES)]
_LAYOUT: Final = "5d0f5c1a54be6e4c"


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many spokes of each kind. Of the good ones every other one is an original."""

    spokes: int
    hanging: int
    away: int
    lying: int
    endless: int
    interval_s: int

    @property
    def bad(self) -> int:
        """How many are not good. They are the first ones."""
        return self.hanging + self.away + self.lying + self.endless

    def kind(self, number: int) -> str:
        """Return what the spoke of this number is."""
        for name in ("hanging", "away", "lying", "endless"):
            if number < getattr(self, name):
                return name
            number -= getattr(self, name)
        return "page" if number % 2 else "gapless"


def address(number: int) -> str:
    """Return the address of a spoke: all of 127.0.0.0/8 is this host."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def _layout() -> Layout:
    host = (("release", "6.1.0"), ("version", "#1 SMP"), ("processor", "x86_64"), ("type", "Linux"))
    series = tuple(
        Series(f"simulated_value_{number}", FLOAT, (*host, ("hostname", "spoke.example.org")))
        for number in range(_SERIES)
    )
    origin = Origin(_ID, "spoke.example.org", "pattoo_agent_os_spoked")
    return Layout(origin, _INTERVAL, series)


class _Spokes:
    """Answers for all simulated spokes, in one process."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        layout = _layout()
        poll = Poll.of(layout, _TIME, _VALUES)
        self._page = encode({layout.identifier: layout}, [poll], _TIME)
        series = [[s.key, s.data_type, [list(pair) for pair in s.metadata]] for s in layout.series]
        of = {"hostname": "spoke.example.org", "program": "pattoo_agent_os_spoked"}
        self._layouts = json.dumps(
            {_LAYOUT: {"agent_id": _ID, **of, "interval_ms": _INTERVAL, "series": series}}
        )
        self._acknowledged: dict[int, int] = {}
        self._numbers = {address(number): number for number in range(fleet.spokes)}

    async def serve(self, port: int) -> None:
        """Answer until the process ends."""
        server = await asyncio.start_server(self._answer, "0.0.0.0", port, backlog=4096)  # noqa: S104
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self._numbers.get(writer.get_extra_info("sockname")[0], 0)
        kind = self._fleet.kind(number)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if kind == "hanging":
                await reader.read()
            elif kind == "endless":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while True:
                    writer.write(b" " * 65536)
                    await writer.drain()
            else:
                await self._requests(number, kind, reader, writer)
        writer.close()

    async def _requests(
        self, number: int, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = 0
            for line in head.split("\r\n"):
                if line.lower().startswith("content-length:"):
                    length = int(line[15:])
            content = await reader.readexactly(length)
            method, target, _ = head.split(" ", 2)
            if kind == "lying":
                writer.write(_lie(number))
                return
            writer.write(self._good(number, kind, method, target, content))
            if "connection: close" in head.lower():
                await writer.drain()
                return

    def _good(self, number: int, kind: str, method: str, target: str, content: bytes) -> bytes:
        parts = urlsplit(target)
        agent = f"{number:064x}"
        if parts.path.startswith("/pattoo-agent-os/") and kind == "page":
            now = str(time.time_ns() // 1_000_000).encode()
            interval = f"{self._fleet.interval_s}000".encode()
            body = self._page.replace(_ID.encode(), agent.encode()).replace(
                str(_TIME).encode(), now
            )
            return _http(200, body.replace(str(_INTERVAL).encode(), interval))
        if not parts.path.startswith("/pattoo-mp/1/polls") or kind != "gapless":
            return _http(404, b"no")
        if method == "POST":
            self._acknowledged[number] = json.loads(content)["up_to"]
            return _http(204, b"")
        return self._polls(number, agent, "known" in parse_qs(parts.query))

    def _polls(self, number: int, agent: str, is_known: bool) -> bytes:
        interval_s = self._fleet.interval_s
        newest = int(time.time()) // interval_s
        first = self._acknowledged.get(number, newest - 1) + 1
        if first > newest:
            return _http(204, b"")
        polls = [
            [tick, tick * interval_s * 1000, _LAYOUT, _VALUES] for tick in range(first, newest + 1)
        ]
        of = {"id": agent, "hostname": "spoke.example.org"}
        text = json.dumps({"version": 1, "agent": of, "polls": polls, "more": False})
        layouts = "{}" if is_known else self._layouts.replace(_ID, agent)
        layouts = layouts.replace(str(_INTERVAL), f"{interval_s}000")
        return _http(200, f'{text[:-1]}, "layouts": {layouts}}}'.encode())


def _http(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _lie(number: int) -> bytes:
    lies = (
        _http(200, b'{"a": 1}'),
        _http(200, b"[" * 100_000),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{",
        b"\x00\xff" * 5000 + b"\r\n\r\n",
    )
    return lies[number % len(lies)]


async def _sink(port: int, posts: Any) -> None:  # noqa: ANN401 - a shared counter
    """Take all posts, as a pattoo server does: a connection for each."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length:" in head:
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
            posts.value += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


def _run(serve: Callable[[], Any]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve())


def free_port() -> int:
    """Return a port that nothing uses now."""
    with socket.socket() as found:
        found.bind(("0.0.0.0", 0))  # noqa: S104
        return int(found.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run has shown. Processor shares are of one processor, memory is in bytes, times are in ms."""

    cpu: dict[str, float]
    memory: dict[str, int]
    late_p99_ms: float
    missed: int
    failed: int
    polls: int
    posts: int
    seconds: float
    states: dict[str, int]
    unaccounted: int
    waiting: int


class Run:
    """A hub with simulated spokes, in a directory of its own. `close` ends all of it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._home = Path(tempfile.mkdtemp(prefix="pattoo-hub-"))
        self._posts = multiprocessing.Value("q", 0)
        port, closed, sink = free_port(), free_port(), free_port()
        # Nobody accepts here: once its queue is full, who connects gets no answer.
        self._silent = socket.socket()
        self._silent.bind(("0.0.0.0", 0))  # noqa: S104
        self._silent.listen(0)
        silent = int(self._silent.getsockname()[1])
        self._processes = [
            multiprocessing.Process(target=_run, args=(lambda: _Spokes(fleet).serve(port),)),
            multiprocessing.Process(target=_run, args=(lambda: _sink(sink, self._posts),)),
        ]
        for process in self._processes:
            process.start()
        self._write(port, (closed, silent), sink)
        self._environment = os.environ | {"PATTOO_CONFIGDIR": str(self._home / "etc")}

    def _write(self, port: int, away: tuple[int, int], sink: int) -> None:
        for name in ("etc", "log", "cache", "daemon", "targets"):
            (self._home / name).mkdir(mode=0o700)
        etc, home = self._home / "etc", self._home
        (etc / "pattoo.yaml").write_text(
            f"pattoo:\n  log_directory: {home}/log\n  cache_directory: {home}/cache\n"
            f"  daemon_directory: {home}/daemon\n"
            f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {sink}\n"
        )
        (etc / "pattoo_agent_os_hubd.yaml").write_text(
            f"pattoo_agent_os_hubd:\n  polling_interval: {self.fleet.interval_s}\n"
            f"  targets_directory: {home}/targets\n"
        )
        targets = [
            {
                "name": f"{self.fleet.kind(number)}-{number}",
                "ip_address": address(number),
                "ip_bind_port": away[number % 2] if self.fleet.kind(number) == "away" else port,
            }
            for number in range(self.fleet.spokes)
        ]
        (home / "targets" / "all.json").write_text(json.dumps(targets))

    def hub(self, *words: str) -> str:
        """Run the hub's command, and return what it prints."""
        done = subprocess.run(
            [sys.executable, str(_COMMAND), *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not done.stdout:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return the hub's status."""
        found: dict[str, Any] = json.loads(self.hub("--status", "--json"))
        return found | {"posts_taken": self._posts.value}

    def measure(self, warm_s: float, seconds: float) -> Measured:
        """Start the hub, let it run `warm_s`, and measure for so many seconds."""
        self.hub("--start")
        time.sleep(warm_s)
        before, began = self.status(), time.monotonic()
        time.sleep(seconds)
        after, took = self.status(), time.monotonic() - began
        return _measured(before, after, took)

    def close(self) -> None:
        """Stop everything, and remove the directory."""
        with contextlib.suppress(SystemExit):
            self.hub("--stop")
        for process in self._processes:
            process.kill()
            process.join()
        self._silent.close()
        shutil.rmtree(self._home)


def _measured(before: dict[str, Any], after: dict[str, Any], seconds: float) -> Measured:
    def processes(status: dict[str, Any]) -> dict[str, Any]:
        return {"control": status["control"], **status["workers"]}

    earlier = {spoke["name"]: spoke for spoke in before["spokes"]["all"]}
    good = [s for s in after["spokes"]["all"] if s["name"].startswith(("page", "gapless"))]
    was = processes(before)
    return Measured(
        {n: (p["cpu_s"] - was[n]["cpu_s"]) / seconds for n, p in processes(after).items()},
        {n: p["memory_bytes"] for n, p in processes(after).items()},
        after["spokes"]["late_p99_ms"],
        sum(s["missed"] - earlier[s["name"]]["missed"] for s in good),
        sum(s["failed"] - earlier[s["name"]]["failed"] for s in good),
        sum(s["taken"] - earlier[s["name"]]["taken"] for s in good),
        after["posts_taken"] - before["posts_taken"],
        seconds,
        {state: after["spokes"][state] for state in ("well", "slow", "away", "refusing", "new")},
        after["polls"]["unaccounted"],
        after["polls"]["in_spool"] + after["polls"]["in_channel"],
    )


def table(fleet: Fleet, found: Measured) -> str:
    """Return the figures as a table, with a sentence on how they were taken."""
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{found.cpu[name] * 100:.0f} % of one processor",
            f"{found.memory[name] / 1e6:.0f} MB",
        )
        for name in ("control", "collector", "uploader")
    ]
    load = os.getloadavg()[1]
    ticks = fleet.spokes - fleet.bad
    return (
        as_table(("process", "processor", "memory"), rows)
        + f"\n{fleet.spokes:,} spokes at {fleet.interval_s} s for {found.seconds:.0f} s; of them {fleet.hanging} hang, "
        f"{fleet.away} are away, {fleet.lying} lie and {fleet.endless} send without end. Of the other {ticks:,}: "
        f"{found.missed} ticks missed, {found.failed} requests failed; {found.polls:,} polls taken, {found.posts:,} posts, "
        f"{found.waiting} polls waiting at the end. "
        f"Requests began {found.late_p99_ms:.0f} ms late (99th percentile). States: "
        + ", ".join(f"{n} {state}" for state, n in found.states.items() if n)
        + f". Unaccounted: {found.unaccounted}. This host: {os.cpu_count()} processors, shared with the simulated spokes "
        f"and the server, and a load of {load:.1f} from all that ran on it.\n"
    )


def main() -> int:
    """Run, and print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.hub", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures of docs/hub.md")
    parser.add_argument("--spokes", type=int, default=10_000)
    parser.add_argument("--interval", type=int, default=60, help="seconds")
    parser.add_argument("--seconds", type=float, default=180.0)
    words = parser.parse_args()
    part = words.spokes / 10_000
    fleet = Fleet(
        words.spokes, round(200 * part), round(200 * part), round(50 * part), min(5, words.spokes // 100), words.interval
    )  # fmt: skip
    run = Run(fleet)
    try:
        text = table(fleet, run.measure(3.0 * words.interval, words.seconds))
    finally:
        run.close()
    sys.stdout.write(text)
    if words.write:
        _FIGURE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

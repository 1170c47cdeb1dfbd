"""Netdata, as Debian packages it, beside the agent with the receiver: on one host, at a second, in one run."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.receiver.process import Receiver
from tests.support.agent import Agent
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS: Final = 100
#: Only what its daemon polls by itself: no plugin processes, no alarms, no learning, no cloud.
_CONFIGURATION: Final = """\
[global]
    run as user = {user}
[directories]
    config = {home}
    stock config = {root}/usr/lib/netdata/conf.d
    log = {home}
    cache = {home}/cache
    lib = {home}/lib
    web = {root}/usr/share/netdata/web
    plugins = {root}/usr/lib/netdata/plugins.d
[db]
    mode = dbengine
    update every = 1
[web]
    bind to = 127.0.0.1
[cloud]
    enabled = no
[ml]
    enabled = no
[health]
    enabled = no
[plugins]
    apps = no
    tc = no
    charts.d = no
    python.d = no
    statsd = no
    ebpf = no
"""


class _Netdata:
    """Netdata from the files of its package, which are below `root`."""

    def __init__(self, root: Path, home: Path) -> None:
        for name in ("cache", "lib"):
            (home / name).mkdir(parents=True)
        user = subprocess.run(
            ["id", "-un"], capture_output=True, text=True, check=True
        ).stdout.strip()
        configuration = home / "netdata.conf"
        configuration.write_text(_CONFIGURATION.format(user=user, home=home, root=root))
        self.port = free_port()
        began = time.monotonic()
        with (home / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [root / "usr/sbin/netdata", "-D", "-c", configuration, "-p", str(self.port),
                 "-P", home / "pid"],
                stdout=out, stderr=out,
            )  # fmt: skip
        wait_for(
            lambda: self.ask("/api/v1/data?chart=system.cpu&after=-2"), 60, "netdata's first values"
        )
        self.first_chart_s = time.monotonic() - began

    def ask(self, path: str) -> dict[str, Any]:
        """Ask for a JSON document; empty if it does not answer, or has none yet."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with suppress(OSError, ValueError):
            try:
                client.request("GET", path)
                answer = client.getresponse()
                found: dict[str, Any] = json.loads(answer.read()) if answer.status == 200 else {}
                return found
            finally:
                client.close()
        return {}

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


def beside(root: Path, home: Path, seconds: float) -> list[str]:
    """Run both for so long, and return the rows of a table: what, ours, Netdata's."""
    began = time.monotonic()
    home.mkdir()
    receiver = Receiver(home)
    agent = Agent(home / "agent", port=receiver.port, interval=1)
    agent.start()
    try:
        with receiver.reader() as reader:
            wait_for(lambda: reader.totals().stored, 60, "the first values")
            first_s = time.monotonic() - began
            netdata = _Netdata(root, home / "netdata")
            try:
                ours = [receiver.process.pid, *agent.processes()]
                before = _cpu_s(ours), _cpu_s([netdata.process.pid])
                time.sleep(seconds)
                used = _cpu_s(ours) - before[0], _cpu_s([netdata.process.pid]) - before[1]
                memory = _memory_mb(ours), _memory_mb([netdata.process.pid])
                series, dimensions = reader.totals().series, netdata.ask("/api/v1/charts")
            finally:
                netdata.end()
    finally:
        agent.end()
        receiver.end()
    share = [100 * each / seconds for each in used]
    return [
        f"| processor, of one core | {share[0]:.1f} % | {share[1]:.1f} % |",
        f"| memory (PSS) | {memory[0]:.0f} MB | {memory[1]:.0f} MB |",
        f"| values a second | {series} | {dimensions.get('dimensions_count', 0)} |",
        f"| from the start to the first values | {first_s:.1f} s | {netdata.first_chart_s:.1f} s |",
    ]


def version(root: Path) -> str:
    """The version of its program; empty if it is not there."""
    program = root / "usr/sbin/netdata"
    if not program.exists():
        return ""
    done = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def _cpu_s(pids: Iterable[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _memory_mb(pids: Iterable[int]) -> float:
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(each.partition("\nPss:")[2].split()[0]) for each in rollups) / 1000

"""The subjects that are measured side by side, each in its own processes."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import psutil

from tests.benchmarks.pace import ticks
from tests.benchmarks.sink import Sink
from tests.support.agent import NAME, ROOT, Agent
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence


class Subject(Protocol):
    """A subject to measure. `datapoints` is the size of its polls, known once it runs."""

    name: str

    @property
    def datapoints(self) -> int:
        """The number of values in a poll."""

    def start(self) -> None:
        """Begin to poll."""

    def processes(self) -> dict[str, int]:
        """Return its processes, by name."""

    def end(self) -> None:
        """End all processes."""


class TheAgent:
    """pattoo_mp, posting to `port`, or to `outputs` as YAML.

    It is the one installed beside this Python, unless `command` names that of another release.
    """

    def __init__(
        self,
        home: Path,
        port: int,
        hz: float,
        more: Sequence[str] = (),
        *,
        name: str = "pattoo_mp",
        outputs: str = "",
        command: Path | None = None,
    ) -> None:
        self.name = name
        program = str(command or Path(sys.executable).with_name(NAME))
        interval = round(1 / hz, 3)
        self.agent = Agent(home, port=port, interval=interval, command=[program])
        settings = ""
        if more:
            settings += f"  families: [{', '.join(more)}]\n  textfile_directory: {home}\n"
        if outputs:
            settings += f"  outputs: {outputs}\n"
        if settings:
            self.agent.write(f"{NAME}.yaml", f"{NAME}:\n  polling_interval: {interval}\n{settings}")
        self.datapoints = 0

    def start(self) -> None:
        """Start it, and wait until it has posted."""
        self.agent.start()
        wait_for(lambda: self.agent.status()["posts"]["count"], what="a post")
        found = re.findall(r"A poll has (\d+) datapoints", self.agent.log)
        self.datapoints = int(found[-1])

    def processes(self) -> dict[str, int]:
        """Return control and both workers."""
        status = self.agent.status()
        workers = {name: int(worker["pid"]) for name, worker in status["workers"].items()}
        return {"control": int(status["control"]["pid"]), **workers}

    def end(self) -> None:
        """Kill it."""
        self.agent.end()


class Program:
    """A module of this package that polls at a rate. Its first line says how many datapoints."""

    def __init__(self, name: str, module: str, hz: float, phase: float, home: Agent) -> None:
        self.name = name
        self._command = [sys.executable, "-m", f"tests.benchmarks.{module}", str(hz), str(phase)]
        self._home = home
        self._process: subprocess.Popen[str] | None = None
        self.datapoints = 0

    def start(self) -> None:
        """Start it, and wait until it polls."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._home.env(), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.datapoints = int(self._process.stdout.readline())

    def processes(self) -> dict[str, int]:
        """Return its only process."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} has ended"
        return {"": self._process.pid}

    def end(self) -> None:
        """Kill it."""
        if self._process is not None:
            _finish(self._process)


class Collectd:
    """collectd with the plugins of the same families, posting JSON over HTTP to a sink."""

    name = "collectd"
    _PLUGINS = ("cpu", "cpufreq", "memory", "swap", "df", "disk", "interface", "load", "processes")

    def __init__(self, home: Path, hz: float) -> None:
        self._home = home
        self._hz = hz
        self._sink = Sink()
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def version() -> str:
        """Return the installed version; empty if not installed."""
        program = shutil.which("collectd")
        if program is None:
            return ""
        text = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"collectd (\d[\d.]*\d)", text)
        return found[1] if found else ""

    @property
    def datapoints(self) -> int:
        """The number of values in an interval."""
        return self._sink.values_each(1 / self._hz)

    def start(self) -> None:
        """Start it, and wait until it has posted."""
        self._home.mkdir(parents=True, exist_ok=True)
        configuration = self._home / "collectd.conf"
        configuration.write_text(
            f'BaseDir "{self._home}"\nPIDFile "{self._home}/pid"\nInterval {1 / self._hz}\n'
            + "".join(f"LoadPlugin {name}\n" for name in (*self._PLUGINS, "write_http"))
            + f'<Plugin write_http>\n<Node "sink">\nURL "http://127.0.0.1:{self._sink.port}/"\n'
            'Format "JSON"\n</Node>\n</Plugin>\n'
        )
        program = shutil.which("collectd") or "collectd"
        self._process = subprocess.Popen(
            [program, "-f", "-C", configuration],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: self._sink.posts > 1, what="posts of collectd")

    def processes(self) -> dict[str, int]:
        """Return its only process."""
        assert self._process is not None
        return {"": self._process.pid}

    def end(self) -> None:
        """Kill it."""
        if self._process is not None:
            _finish(self._process)
        self._sink.close()


class NodeExporter:
    """prometheus-node-exporter with its default collectors, scraped by this process."""

    name = "node_exporter"
    _PROGRAM = "prometheus-node-exporter"

    def __init__(self, port: int, hz: float, phase: float) -> None:
        self._port = port
        self._pace = (hz, phase)
        self._ended = threading.Event()
        self._scraping = threading.Thread(target=self._scrape, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.datapoints = 0

    @classmethod
    def version(cls) -> str:
        """Return the installed version; empty if not installed."""
        program = shutil.which(cls._PROGRAM)
        if program is None:
            return ""
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"version ([\d.]+)", done.stdout + done.stderr)
        return found[1] if found else ""

    def start(self) -> None:
        """Start it, and scrape it at the rate."""
        self._process = subprocess.Popen(
            [self._PROGRAM, f"--web.listen-address=127.0.0.1:{self._port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._scraping.start()
        wait_for(lambda: self.datapoints, what="a scrape")

    def processes(self) -> dict[str, int]:
        """Return its only process."""
        assert self._process is not None
        return {"": self._process.pid}

    def end(self) -> None:
        """Kill it."""
        self._ended.set()
        if self._process is not None:
            _finish(self._process)

    def _scrape(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        for _ in ticks(*self._pace):
            if self._ended.is_set():
                return
            try:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read()
            except OSError:  # it does not listen yet, or no longer
                connection.close()
                continue
            self.datapoints = sum(not row.startswith(b"#") for row in text.splitlines())


class Netdata:
    """netdata with its plugins of the same families, which keeps its values in its own memory.

    It polls in whole seconds.
    """

    name = "netdata"
    _PLUGINS = ("proc", "diskspace")
    _OTHERS = (
        "apps", "cgroups", "charts.d", "checks", "cups", "ebpf", "enable running new plugins", "fping",
        "freeipmi", "go.d", "idlejitter", "ioping", "netdata monitoring", "netdata monitoring extended",
        "nfacct", "node.d", "perf", "python.d", "slabinfo", "statsd", "tc", "timex", "xenstat",
    )  # fmt: skip

    def __init__(self, home: Path, port: int, hz: float) -> None:
        self._home = home
        self._port = port
        self._interval_s = round(1 / hz)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def datapoints(self) -> int:
        """The number of values that it has now; 0 while it does not answer."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/api/v1/charts")
            charts = json.load(connection.getresponse())["charts"].values()
        except (OSError, ValueError, HTTPException):
            return 0
        finally:
            connection.close()
        return sum(len(chart["dimensions"]) for chart in charts)

    @staticmethod
    def version() -> str:
        """Return the installed version; empty if not installed."""
        program = shutil.which("netdata")
        if program is None:
            return ""
        done = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
        found = re.search(r"v([\d.]+)", done.stdout + done.stderr)
        return found[1] if found else "of unknown version"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for name in ("cache", "lib", "log"):
            (self._home / name).mkdir(parents=True)
        configuration = self._home / "netdata.conf"
        sections: dict[str, dict[str, object]] = {
            "global": {"run as user": getpass.getuser()},
            "directories": {name: self._home / name for name in ("cache", "lib", "log")},
            "logs": dict.fromkeys(("debug", "error", "access"), "none"),
            "db": {"mode": "ram", "update every": self._interval_s},
            "web": {"bind to": "127.0.0.1", "default port": self._port},
            **{name: {"enabled": "no"} for name in ("ml", "health", "registry")},
            "plugins": {
                name: "yes" if name in self._PLUGINS else "no"
                for name in (*self._PLUGINS, *self._OTHERS)
            },
        }
        configuration.write_text(
            "".join(
                f"[{name}]\n" + "".join(f"  {key} = {value}\n" for key, value in section.items())
                for name, section in sections.items()
            )
        )
        self._process = subprocess.Popen(
            ["netdata", "-D", "-c", configuration],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_for(lambda: self.datapoints, what="values of netdata")

    def processes(self) -> dict[str, int]:
        """Return it and its helper, which starts plugins, if there is one."""
        assert self._process is not None
        helpers = psutil.Process(self._process.pid).children(recursive=True)
        return {"": self._process.pid} | {f"helper {n}": one.pid for n, one in enumerate(helpers)}

    def end(self) -> None:
        """Kill both."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            _finish(self._process)


#: The programs of others, each from Debian.
PEERS: Final = (Collectd, NodeExporter, Netdata)


def _finish(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()

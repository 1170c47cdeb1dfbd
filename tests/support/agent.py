"""The real agent in a temporary directory, run through its command line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pattoo_mp.control.run_directory import cut_short_pid, running_pid
from pattoo_mp.control.status_socket import ask
from pattoo_mp.program import AUTONOMOUS, Program
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
NAME = AUTONOMOUS.name
SHIM = ROOT / "bin" / f"{NAME}.py"


@dataclass
class Agent:
    """One agent below `home`; `settings` go into its configuration."""

    home: Path
    port: int = 9
    interval: float | str = 0.1
    log_level: str = ""
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    program: Program = AUTONOMOUS

    def __post_init__(self) -> None:
        """Write the configuration."""
        self.command = self.command or [sys.executable, str(ROOT / "bin" / f"{self.name}.py")]
        self.configuration.mkdir(parents=True, exist_ok=True)
        log_level = f"  log_level: {self.log_level}\n" if self.log_level else ""
        self.write(
            "pattoo.yaml",
            f"pattoo:\n  log_directory: {self.home}/log\n  cache_directory: {self.home}/cache\n"
            f"  daemon_directory: {self.home}/daemon\n{log_level}"
            f"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: {self.port}\n",
        )
        self.write(f"{self.name}.yaml", f"{self.name}:\n  polling_interval: {self.interval}\n")

    @property
    def name(self) -> str:
        """The name of its program."""
        return self.program.name

    @property
    def configuration(self) -> Path:
        """The directory that PATTOO_CONFIGDIR names."""
        return self.home / "etc"

    @property
    def stopped(self) -> str:
        """What `--status` prints while it does not run."""
        return (
            f"Daemon is stopped - {self.name}\n  PID file       {self.home}/daemon/pid/{self.name}.pid is not "
            f"locked, so no agent that uses it is running (configuration: {self.configuration})\n"
        )

    @property
    def cut_short_pid(self) -> int:
        """The control process of the last run, if that did not end in order; else 0."""
        return cut_short_pid(self.home / "daemon")

    @property
    def log(self) -> str:
        """The content of the log."""
        path = self.home / "log" / self.program.log_name
        return path.read_text() if path.exists() else ""

    @property
    def spool(self) -> Path:
        """The path of the spool."""
        return self.home / "cache" / f"{self.name}.spool.sqlite"

    @property
    def pid(self) -> int | None:
        """The control process, if it runs."""
        return running_pid(self.home / "daemon" / "pid" / f"{self.name}.pid")

    def write(self, name: str, text: str) -> None:
        """Write one configuration file."""
        (self.configuration / name).write_text(text)

    def set_shared(self, name: str, value: str) -> None:
        """Set one of the settings that pattoo programs share; nobody can read half of the file."""
        self._set("pattoo.yaml", "pattoo", name, value)

    def set_own(self, name: str, value: str) -> None:
        """Set one of the agent's own settings in the same way."""
        self._set(f"{self.name}.yaml", self.name, name, value)

    def _set(self, file: str, section: str, name: str, value: str) -> None:
        path = self.configuration / file
        text = re.sub(rf"\n  {name}: .*", "", path.read_text())
        aside = path.with_suffix(".new")
        aside.write_text(text.replace(f"{section}:\n", f"{section}:\n  {name}: {value}\n", 1))
        aside.replace(path)

    def env(self) -> dict[str, str]:
        """The environment of its commands."""
        return {**os.environ, "PATTOO_CONFIGDIR": str(self.configuration), **self.environment}

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command and wait until it ends."""
        return subprocess.run(
            [*self.command, *arguments],
            env=self.env(), capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def start(self) -> None:
        """Start it in the background. Fail the test if it does not start."""
        done = self.run("--start")
        assert done.returncode == 0, done.stderr + self.log

    @contextlib.contextmanager
    def foreground(self, *words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:  # noqa: ANN401 - what Popen takes
        """Run its control process as a supervisor does; kill it at the end of the block."""
        command = [*self.command, "--foreground", *words]
        with subprocess.Popen(command, text=True, **{"env": self.env(), **more}) as control:
            try:
                yield control
            finally:
                control.kill()

    def stop(self) -> None:
        """Stop it in order."""
        done = self.run("--stop")
        assert done.returncode == 0, done.stderr + self.log

    def status(self) -> dict[str, Any]:
        """Return the status that control answers. Raises `OSError` if the agent does not run."""

        def asked() -> dict[str, Any] | None:
            try:
                return ask(self.home / "daemon" / "run" / f"{self.name}.sock")
            except (FileNotFoundError, ConnectionRefusedError):
                if self.pid is None:
                    raise
                return None  # control locks its PID file a moment before it listens

        return wait_for(asked, what="an answer of control")

    def worker(self, name: str) -> int:
        """Wait until a worker runs, and return its process."""
        return wait_for(lambda: int(self.status()["workers"][name]["pid"]), what=f"a {name}")

    def signal(self, name: str, number: str) -> None:
        """Send a signal, given by its name, to a worker."""
        os.kill(self.worker(name), signal.Signals[number])

    def processes(self) -> list[int]:
        """The running processes of this agent."""
        return processes_of(self.home)

    def end(self) -> None:
        """Kill all its processes, whatever a test did."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.processes(), what="the end of all processes")


def processes_of(home: Path) -> list[int]:
    """Return all processes but this one that have a file below `home` open, or `home` in their environment.

    The environment alone is not enough: a process title overwrites it in /proc.
    """
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _uses(entry, home)
    ]


def _uses(process: Path, home: Path) -> bool:
    with contextlib.suppress(OSError):
        if f"{home}/".encode() in (process / "environ").read_bytes():
            return True
    return any(name.startswith(f"{home}/") for name in opened_by(process))


def opened_by(process: Path) -> list[str]:
    """Return the files that a process has open. Those that it closes meanwhile are skipped."""
    names = []
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                names.append(str(descriptor.readlink()))
    return names

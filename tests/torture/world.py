"""The agent, its supervisord and its server, and what can be observed from outside."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import shim
from tests.support.agent import NAME
from tests.support.disks import mount
from tests.support.supervised import Supervised
from tests.support.waiting import wait_for
from tests.torture.receiver import FaultyReceiver
from tests.torture.server import FaultyServer
from tests.torture.store import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = ("control", "collector", "uploader")
#: After a crash loop a worker is started this late.
_BACK_S = 45.0
#: Room for the polls of a long outage, for a copy of them, and for journals.
_DISK = "48m"
#: Low, since the disk is small: polls are dropped for lack of room only when there is none.
_MIN_FREE_BYTES = 1 << 20


@dataclass
class Process:
    """What was seen of a process: the number of descriptors in each sample, their last names, its memory."""

    role: str
    since: float
    fds: list[int] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    rss_kb: int = 0


@dataclass
class Tortured(Supervised):
    """The agent; its spool is on a small disk if this user may mount one."""

    @property
    def disk(self) -> Path:
        """Where the disk is mounted. The cache directory is below it: a mount cannot be removed."""
        return self.home / "disk"

    @property
    def spool(self) -> Path:
        """The path of the spool."""
        return self.disk / "cache" / f"{NAME}.spool.sqlite"


class World:
    """All parts of one run. `tell` receives each line of its protocol.

    With `store_seed`, the real receiver is behind the first server, and killed at random.
    """

    def __init__(
        self,
        hz: float,
        tell: Callable[[str], None],
        outputs: int = 1,
        *,
        store_seed: int | None = None,
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pmp-torture-"))
        #: The server of each output. With several outputs, the last one is of kind remote_write.
        first = FaultyServer() if store_seed is None else FaultyStore(store_seed)
        self.servers: dict[str, FaultyServer] = {"pattoo": first}
        for number in range(2, outputs + 1):
            if number == outputs and self.has_prometheus:
                self.servers["metrics"] = FaultyReceiver()
            else:
                self.servers[f"pattoo-{number}"] = FaultyServer()
        self.output = "pattoo"
        self.server = self.servers[self.output]
        self.interval_ms = round(1000 / hz)
        self._kept_disk = self.home / "disk-kept"
        self.clock = self.home / "step"
        self.clock_step_s = 0
        self.agent = Tortured(
            self.home,
            port=self.server.port,
            interval=self.interval_ms / 1000,
            log_level="debug",  # the verdict reads every line
            environment={"PATH": os.environ["PATH"], **self._clock_environment()},
        )
        self.agent.disk.mkdir()
        self.agent.set_shared("cache_directory", str(self.agent.spool.parent))
        self.agent.set_own("spool_min_free_bytes", str(_MIN_FREE_BYTES))
        self.has_disk = os.geteuid() == 0 and mount(
            "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", self.agent.disk
        )
        if outputs > 1:
            entries = [
                f"\n    - {{name: {name}, {server.setting}}}"
                for name, server in self.servers.items()
            ]
            self.agent.set_own("outputs", "".join(entries))
        self.began = time.monotonic()
        self._tell = tell
        self._telling = threading.Lock()
        #: How often a fault ended (or may have ended) a process of this role.
        self.ended: Counter[str] = Counter()
        self.failures: list[str] = []
        self.brought: list[str] = []
        #: By number and role: a number may be used again.
        self.processes: dict[tuple[int, str], Process] = {}
        self.times_account_lost = 0
        #: How often the status was looked at, and with how many unaccounted polls.
        self.unaccounted: Counter[int] = Counter()
        self._delivered = 0
        self._watching = threading.Event()

    @property
    def server_name(self) -> str:
        """What the protocol calls the server of the output."""
        return f"server of {self.output}" if len(self.servers) > 1 else "server"

    def of(self, output: str) -> World:
        """Return this world as the faults and the verdict of one output see it."""
        view = copy.copy(self)
        view.output, view.server = output, self.servers[output]
        return view

    # --- the protocol

    def tell(self, line: str) -> None:
        """Report a line with its time."""
        with self._telling:
            self._tell(f"{time.monotonic() - self.began:8.2f} s  {line}")

    def fail(self, line: str) -> None:
        """Report and record a failure."""
        self.failures.append(line)
        self.tell(f"FAILED {line}")

    # --- the clock

    def _clock_environment(self) -> dict[str, str]:
        if not self.has_clock:
            return {}
        return shim.environment(self.home, shim.CLOCK_STEP, "CLOCK_STEP", self.clock)

    @property
    def has_prometheus(self) -> bool:
        """Whether there is a receiver for an output of kind remote_write."""
        return shutil.which("prometheus") is not None

    @property
    def has_clock(self) -> bool:
        """Whether the agent's clock can be set: that takes a C compiler."""
        return shutil.which("cc") is not None

    def step_clock(self, seconds: int) -> None:
        """Set the agent's clock forward or back."""
        self.clock_step_s += seconds
        aside = self.clock.with_suffix(".new")
        aside.write_text(f"{self.clock_step_s}\n")
        aside.replace(self.clock)

    # --- start and end

    def begin(self) -> None:
        """Start everything, and wait for the first poll to arrive."""
        self.agent.supervisord()
        for name, server in self.servers.items():
            wait_for(server.received.polls, 30, f"the first poll at {name}")
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> list[int]:
        """Stop everything in order. Return the processes that are left after that."""
        self._watching.set()
        self.agent.ctl("shutdown")
        left: list[int] = []
        try:
            wait_for(lambda: not self.agent.processes(), 15, "the end of all processes")
        except AssertionError:
            left = self.agent.processes()
        self.agent.end()
        for server in self.servers.values():
            server.recover()
            server.close()
        self._unmount()
        return left

    def _unmount(self) -> None:
        """Remove the disk, and keep the spool that was on it."""
        shutil.copytree(self.agent.disk, self._kept_disk)
        if self.has_disk:
            subprocess.run(["umount", "--lazy", self.agent.disk], check=True)

    def remove(self) -> None:
        """Remove all files."""
        shutil.rmtree(self.home, ignore_errors=True)

    # --- processes

    def pid(self, role: str) -> int:
        """Wait for a process of this role, and return it."""
        return wait_for(lambda: self._pid(role), _BACK_S, f"a {role}")

    def _pid(self, role: str) -> int:
        if role == "control":
            return self.agent.pid or 0
        with contextlib.suppress(OSError):
            return int(self.agent.status()["workers"][role]["pid"])
        return 0

    def has_spool_open(self) -> bool:
        """Return whether the uploader has the current spool file open."""
        with contextlib.suppress(OSError):
            fds = Path(f"/proc/{self._pid('uploader')}/fd")
            return str(self.agent.spool) in {str(fd.readlink()) for fd in fds.iterdir()}
        return False

    def spools_replaced(self) -> int:
        """Return how often the agent has replaced its spool file."""
        return self.log().count("Recovered from the old spool: ")

    # --- observations

    def log(self) -> str:
        """Return the whole log, including rotated files."""
        files = sorted((self.home / "log").iterdir())
        return "".join(file.read_text(errors="replace") for file in files)

    def status(self) -> dict[str, Any]:
        """Return the status; empty if control does not answer."""
        with contextlib.suppress(OSError):
            return self.agent.status()
        return {}

    def _watch(self) -> None:
        while not self._watching.wait(0.25):
            status = self.status()
            if status:
                self._compare(status)
                self._look(status["control"]["pid"], "control")
                for role, worker in status["workers"].items():
                    self._look(worker["pid"], role)

    def _compare(self, status: dict[str, Any]) -> None:
        """Record unaccounted polls, and if fewer are delivered than before: the account was lost."""
        polls = status["polls"]
        self.unaccounted[polls["unaccounted"]] += 1
        if polls["unaccounted"]:
            self.tell(f"unaccounted: {polls}")
        is_new = polls["since_start"] < 3000 / self.interval_ms
        has_no_room = "spool" in status["workers"]["uploader"]["troubles"]
        if polls["polled"] == polls["since_start"] and (
            is_new or has_no_room
        ):  # a new control process does not have the account yet
            return
        if polls["delivered"] < self._delivered:
            self.times_account_lost += 1
            self.tell(
                f"the account goes back: {self._delivered} delivered, then {polls['delivered']}"
            )
        self._delivered = polls["delivered"]

    def _look(self, pid: int, role: str) -> None:
        if not pid:
            return
        with contextlib.suppress(OSError, IndexError):
            seen = self.processes.setdefault((pid, role), Process(role, time.monotonic()))
            seen.open = sorted(str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir())
            seen.fds.append(len(seen.open))
            seen.rss_kb = max(seen.rss_kb, rss_kb(pid))

    def kept(self) -> SpoolContent:
        """Return what the spool file has for the output, when everything has ended."""
        spool = self._kept_disk / self.agent.spool.relative_to(self.agent.disk)
        return SpoolContent.read(spool, self.output)


def rss_kb(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@dataclass(frozen=True)
class SpoolContent:
    """A spool's content for an output: its account, and the timestamps of its polls."""

    facts: dict[str, Any]
    account: dict[str, Any]
    waiting: tuple[int, ...]
    quarantined: tuple[tuple[int, str], ...]

    @classmethod
    def read(cls, path: Path, output: str = "pattoo") -> SpoolContent:
        """Read it without the agent's code."""
        with contextlib.closing(sqlite3.connect(path)) as file:
            facts = dict(file.execute("SELECT name, value FROM facts"))
            account = json.loads(facts["outputs"])[output]
            after = (account["done_id"],)
            polls = file.execute("SELECT timestamp_ms FROM polls WHERE id > ? ORDER BY id", after)
            quarantined = "SELECT timestamp_ms, reason FROM quarantine WHERE output = ?"
            return cls(
                facts,
                account,
                tuple(t for (t,) in polls),
                tuple(file.execute(quarantined, (output,))),
            )


__all__ = ["NAME", "ROLES", "Process", "SpoolContent", "World", "rss_kb"]

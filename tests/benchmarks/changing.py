r"""What an agent costs on a host whose mounts or interfaces come and go, in a namespace of its own.

unshare --mount --net --propagation private python -m tests.benchmarks.changing \
    veth|mounts NUMBER SECONDS CHANGES...

makes NUMBER of them. For each of CHANGES it replaces that many each second, for SECONDS, and prints a
line of JSON: processor time of each process in percent of one processor, memory in kB before and after, lines in
the log, missed ticks, and polls that wait before and after.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.support.agent import Agent
from tests.support.server import PattooServer, Post
from tests.support.usage import memory_kb, processor_s
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Until a new layout has been sent, and the memory is what it is later.
_SETTLED_S = 15.0


class Devices(Protocol):
    """What comes and goes."""

    families: str

    def make(self, numbers: Sequence[int]) -> None:
        """Make these."""

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove these."""


class Links:
    """Pairs of virtual interfaces; a pair is two interfaces."""

    families = "[network_links, link_changes]"

    def __init__(self) -> None:
        # The /sys from before shows the interfaces of the network namespace that it was mounted in.
        subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def make(self, numbers: Sequence[int]) -> None:
        """Make pairs."""
        _batch(f"link add veth{n} type veth peer name peer{n}" for n in numbers)

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove pairs."""
        _batch(f"link del veth{n}" for n in numbers)


def _batch(lines: Iterable[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


class Mounts:
    """Bind mounts of one disk of 8 MiB."""

    families = "[inodes]"

    def __init__(self, work: Path) -> None:
        self._work = work
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        image = work / "image"
        with image.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        (work / "disk").mkdir()
        subprocess.run(["mount", "-o", "loop", image, work / "disk"], check=True)

    def make(self, numbers: Sequence[int]) -> None:
        """Make mounts."""
        for number in numbers:
            place = self._work / "mounts" / f"{number:05}"
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", self._work / "disk", place], check=True)

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove mounts."""
        for number in numbers:
            subprocess.run(["umount", self._work / "mounts" / f"{number:05}"], check=True)


class Taking(PattooServer):
    """A server that takes posts and keeps none, so that it needs no memory for them."""

    def __init__(self) -> None:
        super().__init__()
        self.posts = _Forgotten()


class _Forgotten(list[Post]):
    def append(self, _: Post) -> None:
        """Keep nothing."""


class Changes:
    """Replaces the oldest devices by new ones."""

    def __init__(self, devices: Devices, number: int) -> None:
        self._devices = devices
        self._number = number
        self._oldest = 0
        devices.make(range(number))

    def go_on(self, each_s: int, seconds: float) -> None:
        """Replace `each_s` of them each second."""
        next_s = time.monotonic()
        until = next_s + seconds
        while next_s < until:
            if each_s:
                new = self._oldest + self._number
                self._devices.make(range(new, new + each_s))
                self._devices.remove(range(self._oldest, self._oldest + each_s))
                self._oldest += each_s
            next_s += 1.0
            time.sleep(max(0.0, next_s - time.monotonic()))


def measured(agent: Agent, action: Callable[[], None]) -> dict[str, Any]:
    """Return what the agent used during `action`."""
    before, status, lines = _pids(agent), agent.status(), agent.log.count("\n")
    memory = {name: memory_kb(pid) for name, pid in before.items()}
    spent, began = {name: processor_s(pid) for name, pid in before.items()}, time.monotonic()
    action()
    seconds = time.monotonic() - began
    after = agent.status()
    assert _pids(agent) == before, "a process was replaced"
    return {
        "processor_percent": {
            name: round(100 * (processor_s(pid) - spent[name]) / seconds, 1)
            for name, pid in before.items()
        },
        "memory_kb_before": memory,
        "memory_kb": {name: memory_kb(pid) for name, pid in before.items()},
        "polls": after["polls"]["polled"] - status["polls"]["polled"],
        "missed": sum(after["missed"].values()) - sum(status["missed"].values()),
        "waiting": [_waiting(status), _waiting(after)],
        "log_lines": agent.log.count("\n") - lines,
        "troubles": [trouble["code"] for trouble in after["troubles"]],
        "left_out": len(after.get("left_out", {})),
        "spool_bytes": agent.spool.stat().st_size,
    }


def _waiting(status: dict[str, Any]) -> int:
    return sum(count for name, count in status["polls"].items() if name.startswith("in_"))


def _pids(agent: Agent) -> dict[str, int]:
    workers = agent.status()["workers"]
    return {"control": agent.pid or 0} | {name: worker["pid"] for name, worker in workers.items()}


def main(kind: str, number: int, changes: Sequence[int], seconds: float) -> None:
    """Measure with each number of changes a second."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        devices: Devices = Links() if kind == "veth" else Mounts(work)
        going_on = Changes(devices, number)
        server = Taking()
        agent = Agent(work / "home", server.port, interval=1)
        agent.set_own("families", devices.families)
        agent.start()
        try:
            wait_for(lambda: agent.status()["polls"]["delivered"] > 3, what="a delivery")
            time.sleep(_SETTLED_S)
            for each_s in changes:
                found = measured(agent, partial(going_on.go_on, each_s, seconds))
                row = {"kind": kind, "number": number, "changes": each_s, **found}
                sys.stdout.write(f"{json.dumps(row)}\n")
                sys.stdout.flush()
            agent.stop()
        finally:
            agent.end()
            server.close()
            subprocess.run(["umount", "--lazy", work / "disk"], check=False, capture_output=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[4:]], float(sys.argv[3]))

"""A simulated /proc that psutil reads instead of the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MEMINFO = """\
MemTotal:        8000000 kB
MemFree:         1000000 kB
MemAvailable:    6000000 kB
Buffers:          200000 kB
Cached:          3000000 kB
SwapCached:            0 kB
Active:          2500000 kB
Inactive:        1500000 kB
Shmem:             50000 kB
Slab:             400000 kB
SReclaimable:     300000 kB
SwapTotal:             0 kB
SwapFree:              0 kB
"""

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
"""

TIMES = "17480 120 5311 904217 412 0 88 31 0 0"


class ProcFS:
    """The files that psutil reads. Tests add or remove what a host has or lacks."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        (root / "self").mkdir(parents=True)
        (root / "net").mkdir()
        (root / "1").mkdir()  # psutil expects at least one process
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(root), raising=False)
        self.write("meminfo", MEMINFO)
        self.write("vmstat", "pswpin 0\npswpout 0\n")
        self.write("filesystems", "\text4\nnodev\ttmpfs\n")
        self.processors(2)
        self.mounts()
        self.interfaces("lo", "eth0")
        self.write("diskstats", "")
        self.write("loadavg", "0.50 0.25 0.10 1/99 1234\n")

    def write(self, name: str, text: str | bytes) -> None:
        """Write one file."""
        content = text.encode() if isinstance(text, str) else text
        (self.root / name).write_bytes(content)

    def processors(self, count: int) -> None:
        """Write the times and counters of so many processors."""
        lines = [f"cpu  {TIMES}", *(f"cpu{n} {TIMES}" for n in range(count))]
        counters = "intr 1234567 0 9\nctxt 7654321\nbtime 1700000000\nsoftirq 765432 1 2\n"
        self.write("stat", "\n".join(lines) + f"\n{counters}")

    def disks(self, *names: str) -> None:
        """Write disks with the counters of Linux 5.5 and later."""
        counters = "100 20 3000 40 500 60 7000 80 0 90 120 0 0 0 0 0 0"
        self.write(
            "diskstats",
            "".join(f"   8       {n} {name} {counters}\n" for n, name in enumerate(names)),
        )

    def interfaces(self, *names: str) -> None:
        """Write network interfaces with some traffic."""
        counters = "1048576 1000 1 2 0 0 0 0 524288 500 3 4 0 0 0 0"
        self.write("net/dev", NET_DEV + "".join(f"{name:>6}: {counters}\n" for name in names))

    def mounts(self, *points: bytes) -> None:
        """Write mounted file systems."""
        lines = [
            b"/dev/sd%c1 %s ext4 rw,relatime 0 0\n" % (97 + n, p) for n, p in enumerate(points)
        ]
        self.write("self/mounts", b"".join(lines))

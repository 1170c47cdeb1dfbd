"""Describes the test machine and the versions in use, without identifying the machine."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.neighbour import caches

_PACKAGES = ("psutil", "requests", "urllib3", "msgpack", "PattooShared")


def rows(peers: dict[str, str]) -> list[tuple[str, str]]:
    """Return components and values. `peers` are versions by name, empty if not installed."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    installed = {name: number or "not installed, left out" for name, number in peers.items()}
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores{_virtual()}"),
        ("caches of a core", _caches()),
        ("memory", f"{gigabytes:.0f} GB"),
        ("load before the run", f"{os.getloadavg()[0]:.1f}, from other work"),
        ("kernel", f"{platform.system()} {re.split('-', platform.release())[0]}"),
        ("Python", f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}"),
        *((name, version(name)) for name in _PACKAGES),
        *installed.items(),
    ]


def _caches() -> str:
    """Return the size of each level, and how many processors share it."""
    levels = [
        f"level {cache.level}: {cache.size / 1024:,.0f} KiB"
        + (f", shared by {len(cache.shared_by)}" if len(cache.shared_by) > 1 else "")
        for cache in caches(min(os.sched_getaffinity(0)))
    ]
    return "; ".join(levels) or "the kernel does not tell"


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.machine()


def _virtual() -> str:
    flags = re.search(r"^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return ", virtual" if flags and "hypervisor" in flags[0] else ""

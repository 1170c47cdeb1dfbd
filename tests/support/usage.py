"""The resources that a process has used, as the kernel counts them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time (s), wake-ups and page faults since the start, memory (PSS, kB) now."""

    processor_s: float
    wakeups: int
    faults: int
    memory_kb: int


def usage(pid: int) -> Usage:
    """Return the usage of `pid` with all its threads."""
    return Usage(processor_s(pid), wakeups(pid), faults(pid), memory_kb(pid))


def processor_s(pid: int) -> float:
    """Return user and system time, including threads that have ended.

    This reads the process's CPU clock, in ns; /proc/PID/stat has the same in ticks of 10 ms. The
    clock's number is computed as in clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | 2)


def wakeups(pid: int) -> int:
    """Return how often its living threads waited and were woken: voluntary switches (proc(5), status)."""
    return sum(_switches(task / "status") for task in Path(f"/proc/{pid}/task").iterdir())


def faults(pid: int) -> int:
    """Return its page faults, minor and major, with those of threads that have ended (proc(5), stat)."""
    # The name in brackets may have spaces and brackets of its own.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]) + int(fields[9])


def memory_kb(pid: int) -> int:
    """Return the proportional set size (proc(5), smaps_rollup)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))


def _switches(status: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
        rows = status.read_text().splitlines()
        return next(int(r.split()[1]) for r in rows if r.startswith("voluntary_ctxt_switches"))
    return 0

"""What a process has used so far, as the kernel counts it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time (s) and wake-ups since the start, memory (proportional set size, kB) now."""

    processor_s: float
    wakeups: int
    memory_kb: int


def usage(pid: int) -> Usage:
    """What `pid` uses, all its threads together."""
    return Usage(processor_s(pid), wakeups(pid), memory_kb(pid))


def processor_s(pid: int) -> float:
    """User and system time, also of threads that have ended.

    The process's own clock, in ns: /proc/PID/stat counts the same, in ticks of 10 ms. Its number
    is made as clock_getcpuclockid(3) makes it.
    """
    return time.clock_gettime((~pid << 3) | 2)


def wakeups(pid: int) -> int:
    """How often a thread that lives had waited for something and went on (proc(5), status)."""
    return sum(_switches(task / "status") for task in Path(f"/proc/{pid}/task").iterdir())


def memory_kb(pid: int) -> int:
    """The proportional set size (proc(5), smaps_rollup)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))


def _switches(status: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
        rows = status.read_text().splitlines()
        return next(int(r.split()[1]) for r in rows if r.startswith("voluntary_ctxt_switches"))
    return 0

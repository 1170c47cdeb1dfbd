"""Processes by state, and threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.source import Source

#: The kernel's letters (proc(5), under `stat`), our name, and what such a process does.
_STATES: Final = (
    ("R", "running", "Running", "run, or wait only for a processor"),
    ("S", "sleeping", "Sleeping", "wait for something to happen"),
    (
        "D",
        "waiting",
        "Waiting for a Device",
        "wait for a disk or a file server, and cannot be ended",
    ),
    ("I", "idle", "Idle", "are threads of the kernel with nothing to do (since Linux 4.14)"),
    ("Tt", "stopped", "Stopped", "were stopped by a signal or a debugger"),
    ("Z", "zombie", "Zombies", "have ended, and nobody has taken note of it"),
)

# fmt: off
_PROCESSES: Final = Table(
    "process_states", "Processes by state", "process_states_", INTEGER,
    (
        *(
            Metric(name, INTEGER, "processes", f"Processes ({title})", f"Processes that {do}.")
            for _, name, title, do in _STATES
        ),
        Metric("other", INTEGER, "processes", "Processes (Other States)",
               "Processes in states that last a moment, such as the end."),
        Metric("threads", INTEGER, "threads", "Threads",
               "Threads of all processes together."),
    ),
)
# fmt: on

TABLES: Final = (_PROCESSES,)

_NAMES: Final = {letter: name for letters, name, _, _ in _STATES for letter in letters}


def counted(found: Iterable[Process]) -> dict[str, int]:
    """How many processes are in each state: always the same figures, some of them 0."""
    counts = dict.fromkeys((metric.name for metric in _PROCESSES.metrics), 0)
    for process in found:
        counts[_NAMES.get(process.state, "other")] += 1
        counts["threads"] += process.threads
    return counts


def sources(plan: Plan) -> tuple[Source, ...]:
    """It reads a file for each process."""
    look, _ = plan.processes
    return (Fields(_PROCESSES, lambda: counted(look())),)

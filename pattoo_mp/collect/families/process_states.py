"""The number of processes in each state, and of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families._processes import UNREADABLE, UNREADABLE_ONES, WHY_UNREADABLE
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.families._processes import Process
    from pattoo_mp.collect.source import Source

#: The kernel's letters (proc(5), under `stat`), our name, a heading, and what such a process does.
_STATES: Final = (
    ("R", "running", "Running", "are running or ready to run"),
    ("S", "sleeping", "Sleeping", "wait for an event"),
    (
        "D",
        "waiting",
        "Waiting for a Device",
        "wait for a disk or a file server, and cannot be killed",
    ),
    ("I", "idle", "Idle", "are idle kernel threads (Linux 4.14 and later)"),
    ("Tt", "stopped", "Stopped", "were stopped by a signal or a debugger"),
    ("Z", "zombie", "Zombies", "have exited but were not reaped by their parent"),
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
               "Processes in transient states, such as exiting."),
        Metric("threads", INTEGER, "threads", "Threads",
               "Threads of all processes."),
    ),
    exported={
        "running": Exported("node_processes_state", (("state", "R"),), help="Processes by state."),
        "sleeping": Exported("node_processes_state", (("state", "S"),), help="Processes by state."),
        "waiting": Exported("node_processes_state", (("state", "D"),), help="Processes by state."),
        "idle": Exported("node_processes_state", (("state", "I"),), help="Processes by state."),
        "zombie": Exported("node_processes_state", (("state", "Z"),), help="Processes by state."),
        "threads": Exported("node_processes_threads"),
    },
)
# fmt: on

TABLES: Final = (_PROCESSES,)

_NAMES: Final = {letter: name for letters, name, _, _ in _STATES for letter in letters}


def count_states(found: Iterable[Process]) -> dict[str, int | Exception]:
    """Return the number of processes in each state, 0 included, and of threads.

    If some processes are unreadable, there is an exception about them beside the figures.
    """
    counts = dict.fromkeys((metric.name for metric in _PROCESSES.metrics), 0)
    unreadable: dict[str, Exception] = {}
    for process in found:
        if process.state == UNREADABLE:
            unreadable[UNREADABLE_ONES] = ValueError(WHY_UNREADABLE)
            continue
        counts[_NAMES.get(process.state, "other")] += 1
        counts["threads"] += process.threads
    return {**counts, **unreadable}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The states. Reading them opens a file for each process."""
    processes, _ = plan.processes
    return (Fields(_PROCESSES, lambda: count_states(processes())),)

"""Process events: how many processes were started, and how many run or are blocked now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_EVENTS: Final = Table(
    "process_events", "Process events", "process_events_", INTEGER,
    (
        Metric("forks", COUNTER64, "forks", "Forks",
               "Processes and threads started."),
        Metric("running", INTEGER, "tasks", "Tasks Running",
               "Processes and threads that run or are ready to run."),
        Metric("blocked", INTEGER, "tasks", "Tasks Blocked",
               "Processes and threads that wait for a disk or a file server."),
    ),
    exported={
        "forks": Exported("node_forks_total"),
        "running": Exported("node_procs_running"),
        "blocked": Exported("node_procs_blocked"),
    },
)
# fmt: on

TABLES: Final = (_EVENTS,)

#: The names in `/proc/stat`, see proc(5).
_NAMES: Final = {"processes": "forks", "procs_running": "running", "procs_blocked": "blocked"}


_LINES: Final = re.compile(r"^(processes|procs_running|procs_blocked) (.*)$", re.MULTILINE)


def parse(lines: str) -> dict[str, int | Exception]:
    r"""Return the figures of `/proc/stat`.

    >>> parse("cpu 1 2\nprocesses 7\nprocs_running 2\nprocs_blocked 0\n")
    {'forks': 7, 'running': 2, 'blocked': 0}
    """
    found = dict(_LINES.findall(lines))
    return {
        ours: host.count_or_error(found[theirs].strip())
        for theirs, ours in _NAMES.items()
        if theirs in found
    }


def sources(_: Plan) -> tuple[Source, ...]:
    """The kernel's figures. They need no look at each process, unlike `process_states`."""
    return (Fields(_EVENTS, lambda: parse(host.proc("stat"))),)

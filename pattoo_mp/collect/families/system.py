"""System: the number of processes, and the load average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.families import _hidepid
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_PROCESSES: Final = Table(
    "system.processes", "Processes", "", INTEGER,
    (
        Metric("process_count", INTEGER, "processes", "Processes",
               "Number of processes, in any state."),
    ),
    exported={
        "process_count": Exported("node_processes_pids"),
    },
)

# The original agent sends the averages, which have decimals, with the integer type.
_LOAD: Final = Table(
    "system.load", "Load average", "", INTEGER,
    (
        Metric("load_average_01min", INTEGER, "processes", "Load Average (1 Minute)",
               "Processes running, ready to run or waiting for a disk: average of the last minute."),
        Metric("load_average_05min", INTEGER, "processes", "Load Average (5 Minutes)",
               "The same for the last 5 minutes."),
        Metric("load_average_15min", INTEGER, "processes", "Load Average (15 Minutes)",
               "The same for the last 15 minutes."),
    ),
    exported={
        "load_average_01min": Exported("node_load1"),
        "load_average_05min": Exported("node_load5"),
        "load_average_15min": Exported("node_load15"),
    },
)
# fmt: on

TABLES: Final = (_PROCESSES, _LOAD)


def _process_count() -> dict[str, int]:
    _hidepid.check_listed()
    return {"process_count": len(psutil.pids())}


def _load_average() -> dict[str, float]:
    names = [metric.name for metric in _LOAD.metrics]
    return dict(zip(names, host.load_average(), strict=True))


def sources(_: Plan) -> tuple[Source, ...]:
    """The number of processes, and the load average."""
    return (Fields(_PROCESSES, _process_count), Fields(_LOAD, _load_average))

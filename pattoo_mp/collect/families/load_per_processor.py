"""Load in proportion to processors, so that hosts of any size compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import FLOAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_LOAD: Final = Table(
    "load_per_processor", "Load for each processor", "load_per_processor_", FLOAT,
    (
        Metric("01min", FLOAT, "processes", "Load per Processor (1 Minute)",
               "Load average of the last minute, divided by the logical processors: above 1 "
               "somebody waits."),
        Metric("05min", FLOAT, "processes", "Load per Processor (5 Minutes)",
               "The same of the last 5 minutes."),
        Metric("15min", FLOAT, "processes", "Load per Processor (15 Minutes)",
               "The same of the last 15 minutes."),
    ),
)
# fmt: on

TABLES: Final = (_LOAD,)


def shared(load: Sequence[float], processors: int | None) -> dict[str, float]:
    """The three averages for one processor. Raises `NotImplementedError` if they are not counted."""
    if not processors:
        raise NotImplementedError("the host does not tell how many processors it has")
    names = [metric.name for metric in _LOAD.metrics]
    return {name: value / processors for name, value in zip(names, load, strict=True)}


def sources(_: Plan) -> tuple[Source, ...]:
    """The load, shared out."""
    return (Fields(_LOAD, lambda: shared(psutil.getloadavg(), host.cpus())),)

"""Load average per processor, which can be compared between hosts of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
               "Load average of the last minute, divided by the number of logical processors. "
               "Above 1, tasks wait."),
        Metric("05min", FLOAT, "processes", "Load per Processor (5 Minutes)",
               "The same for the last 5 minutes."),
        Metric("15min", FLOAT, "processes", "Load per Processor (15 Minutes)",
               "The same for the last 15 minutes."),
    ),
)
# fmt: on

TABLES: Final = (_LOAD,)


def divide_load(load: Sequence[float], processors: int | None) -> dict[str, float]:
    """Return the three averages per processor.

    Raises `NotImplementedError` if the number of processors is not known.
    """
    if not processors:
        raise NotImplementedError("the host does not report how many processors it has")
    names = [metric.name for metric in _LOAD.metrics]
    return {name: value / processors for name, value in zip(names, load, strict=True)}


def sources(_: Plan) -> tuple[Source, ...]:
    """The load average per processor."""
    return (Fields(_LOAD, lambda: divide_load(host.load_average(), host.cpus())),)

"""The speed of each fan that the kernel has a sensor for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect.families._sensors import by_sensor
from pattoo_mp.collect.source import Limited, Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_FANS: Final = Table(
    "fans", "Fans", "fan_", INTEGER,
    (
        Metric("speed", INTEGER, "revolutions per minute", "Fan Speed",
               "Speed of the fan; 0 if it is not turning."),
    ),
    (Label("fan_sensor", "Fan",
           "The chip and its sensor, such as `thinkpad`; numbered if two have the same name."),),
)
# fmt: on

TABLES: Final = (_FANS,)


def row(sensor: Any) -> dict[str, Value]:  # noqa: ANN401 - psutil's private tuple type
    """Return the figure of one sensor."""
    return {"speed": sensor.current}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The fans, with a time limit: a sensor may be on a slow bus."""
    fans = Rows(_FANS, lambda: by_sensor(psutil.sensors_fans(), row), "the host reports no fan")
    return (Limited(fans, plan.deadline()),)

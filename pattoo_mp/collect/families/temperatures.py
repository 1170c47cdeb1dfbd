"""The temperature of each sensor that the kernel knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect.families._sensors import by_sensor
from pattoo_mp.collect.source import Limited, Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_TEMPERATURES: Final = Table(
    "temperatures", "Temperatures", "temperature_", FLOAT,
    (
        Metric("current", FLOAT, "degrees Celsius", "Temperature",
               "The current temperature."),
        Metric("high", FLOAT, "degrees Celsius", "Temperature (High)",
               "What the manufacturer considers high; not sent if the sensor does not report it."),
        Metric("critical", FLOAT, "degrees Celsius", "Temperature (Critical)",
               "Where the machine slows or shuts down; not sent if the sensor does not report it."),
    ),
    (Label("temperature_sensor", "Temperature Sensor",
           "The chip and its sensor, such as `coretemp Core 0`; numbered if two have the same name."),),
)
# fmt: on

TABLES: Final = (_TEMPERATURES,)


def row(sensor: Any) -> dict[str, Value]:  # noqa: ANN401 - psutil's private tuple type
    """Return the figures of one sensor; None for what it does not report."""
    return {"current": sensor.current, "high": sensor.high, "critical": sensor.critical}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The sensors, with a time limit: one may be on a slow bus, or in a sleeping disk."""
    temperatures = Rows(
        _TEMPERATURES,
        lambda: by_sensor(psutil.sensors_temperatures(), row),
        "the host reports no temperature",
        plan.filters.temperatures.accepts,
    )
    return (Limited(temperatures, plan.deadline()),)

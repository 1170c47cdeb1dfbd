"""Temperatures, of each sensor that the kernel knows of."""

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
               "What the sensor measures now."),
        Metric("high", FLOAT, "degrees Celsius", "Temperature (High)",
               "What its maker calls high; not sent where it tells none."),
        Metric("critical", FLOAT, "degrees Celsius", "Temperature (Critical)",
               "Where the machine is shut down or slowed; not sent where it tells none."),
    ),
    (Label("temperature_sensor", "Temperature Sensor",
           "The chip and its sensor, such as `coretemp Core 0`; a number where two are called alike."),),
)
# fmt: on

TABLES: Final = (_TEMPERATURES,)


def row(sensor: Any) -> dict[str, Value]:  # noqa: ANN401 - psutil's private tuple type
    """The figures of one sensor; None for what it does not tell."""
    return {"current": sensor.current, "high": sensor.high, "critical": sensor.critical}


def sources(plan: Plan) -> tuple[Source, ...]:
    """A sensor may lie behind a slow bus, or in a disk that sleeps."""
    temperatures = Rows(
        _TEMPERATURES,
        lambda: by_sensor(psutil.sensors_temperatures(), row),
        "the host tells no temperature",
        plan.filters.temperatures.accepts,
    )
    return (Limited(temperatures, plan.together()),)

"""The temperature of each sensor that the kernel knows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families._sensors import chips, read_chip
from pattoo_mp.collect.families._sysfs import within
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.families._sensors import Sensor
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

#: Degrees that a sensor may measure. Drivers give others for "not known" and "no limit".
ABSOLUTE_ZERO: Final = -273.15
HOTTEST: Final = 1000.0

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
           "The chip and its sensor, and where they are: `coretemp Core 0 (coretemp.0 temp2)`.", prometheus="sensor"),),
)
# fmt: on

TABLES: Final = (_TEMPERATURES,)

#: The figures, and the ends of the names of the files that have them.
_LIMITS: Final = {"high": "max", "critical": "crit"}


def celsius(thousandths: int) -> float:
    """Return degrees from the kernel's unit. Raises `ValueError` for what no sensor measures."""
    return within(thousandths / 1000, ABSOLUTE_ZERO, HOTTEST, "degrees Celsius")


def row(sensor: Sensor) -> dict[str, Value | Exception]:
    """Return the figures of one sensor. Raises `OSError` and `ValueError`."""
    figures: dict[str, Value | Exception] = {"current": celsius(sensor.number("input"))}
    for name, ending in _LIMITS.items():
        if sensor.has(ending):
            figures |= limit(name, lambda ending=ending: sensor.number(ending))  # type: ignore[misc]
    return figures


def limit(name: str, ask: Callable[[], int]) -> dict[str, Value | Exception]:
    """Return a limit, or the error that reading it gave.

    Nothing if the device has none: drivers then give a number out of the range of the device.
    """
    try:
        degrees = ask() / 1000
    except (OSError, ValueError) as error:
        return {name: error}
    return {name: degrees} if ABSOLUTE_ZERO < degrees < HOTTEST else {}


def names() -> Iterator[str]:
    """Yield the names of all sensors; reads none of them."""
    for chip in chips():
        with suppress(OSError, ValueError):  # a poll says so
            yield from read_chip(chip, "temp", row, lambda _: False)


def sources(plan: Plan) -> tuple[Source, ...]:
    """The sensors, one by one: one may be on a slow bus, or in a sleeping disk."""
    accepts = plan.filters.temperatures.accepts
    return (
        EachDevice(
            _TEMPERATURES,
            chips,
            lambda chip: read_chip(chip, "temp", row, accepts),
            "the host has no sensor of temperatures; see the family thermal_zones",
            plan,
        ),
    )

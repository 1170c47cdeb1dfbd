"""The speed of each fan that the kernel has a sensor for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families._sensors import chips, read_chip
from pattoo_mp.collect.families._sysfs import within
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.families._sensors import Sensor
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

#: Ten times the speed of the fastest fans: what is above is an error of the chip.
_FASTEST: Final = 1_000_000

# fmt: off
_FANS: Final = Table(
    "fans", "Fans", "fan_", INTEGER,
    (
        Metric("speed", INTEGER, "revolutions per minute", "Fan Speed",
               "Speed of the fan; 0 if it is not turning."),
    ),
    (Label("fan_sensor", "Fan",
           "The chip and its sensor, and where they are: `thinkpad (thinkpad_hwmon fan1)`.", prometheus="sensor"),),
)
# fmt: on

TABLES: Final = (_FANS,)


def row(sensor: Sensor) -> dict[str, Value | Exception]:
    """Return the figure of one sensor. Raises `OSError` and `ValueError`."""
    return {"speed": int(within(sensor.number("input"), 0, _FASTEST, "revolutions per minute"))}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The fans, one by one: a sensor may be on a slow bus."""
    return (
        EachDevice(
            _FANS, chips, lambda chip: read_chip(chip, "fan", row), "the host reports no fan", plan
        ),
    )

"""The temperature of each thermal zone: what the kernel itself watches to cool the host.

Reads `/sys/class/thermal`, see Documentation/ABI/testing/sysfs-class-thermal in the kernel. Small
boards often have zones only, and no chip for the family `temperatures`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families._sensors import device_of
from pattoo_mp.collect.families._sysfs import attribute, entries, names_in, whole_number
from pattoo_mp.collect.families.temperatures import celsius, limit
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source
    from pattoo_mp.model import Value

# fmt: off
_ZONES: Final = Table(
    "thermal_zones", "Thermal zones", "thermal_zone_", FLOAT,
    (
        Metric("current", FLOAT, "degrees Celsius", "Thermal Zone",
               "The current temperature."),
        Metric("hot", FLOAT, "degrees Celsius", "Thermal Zone (Hot)",
               "Where the kernel warns; not sent if the zone has no such limit."),
        Metric("critical", FLOAT, "degrees Celsius", "Thermal Zone (Critical)",
               "Where the kernel shuts the host down; not sent if the zone has no such limit."),
    ),
    (Label("thermal_zone_name", "Thermal Zone",
           "The zone's type, and its device if it has one: `acpitz (LNXTHERM:00)`, "
           "`cpu-thermal (thermal_zone0)`.", prometheus="zone"),),
)
# fmt: on

TABLES: Final = (_ZONES,)

_CLASS: Final = "class/thermal"
_ZONE: Final = re.compile(r"thermal_zone[0-9]{1,9}")
_TRIP: Final = re.compile(r"(trip_point_[0-9]{1,9})_type")


def _zones() -> list[str]:
    return [name for name in entries(_CLASS) if _ZONE.fullmatch(name)]


def _read(zone: str) -> dict[str, Row]:
    directory = f"{host.SYS}/{_CLASS}/{zone}"
    name = f"{attribute(f'{directory}/type')} ({device_of(directory) or zone})"
    try:
        figures: dict[str, Value | Exception] = {
            "current": celsius(whole_number(attribute(f"{directory}/temp")))
        }
        for trip, kind in _trips(directory):
            figures |= limit(kind, lambda: whole_number(attribute(f"{directory}/{trip}_temp")))  # noqa: B023 - called at once
    except (OSError, ValueError) as error:
        return {name: error}
    return {name: figures}


def _trips(directory: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the limits that the table has, and their kinds."""
    for match in filter(None, map(_TRIP.fullmatch, sorted(names_in(directory)))):
        kind = attribute(f"{directory}/{match[0]}")
        if kind in {"hot", "critical"}:
            yield match[1], kind


def sources(plan: Plan) -> tuple[Source, ...]:
    """The zones, one by one: firmware may be slow to answer."""
    return (EachDevice(_ZONES, _zones, _read, "the host has no thermal zone", plan),)

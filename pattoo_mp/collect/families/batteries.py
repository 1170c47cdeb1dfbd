"""Batteries, each that feeds the host; psutil knows of one at most.

From `/sys/class/power_supply`: see Documentation/ABI/testing/sysfs-class-power of the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Limited, Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_BATTERIES: Final = Table(
    "batteries", "Batteries", "battery_", INTEGER,
    (
        Metric("charge", INTEGER, "percent", "Battery Charge",
               "How full it is."),
        Metric("discharging", INTEGER, "yes or no", "Battery Discharging",
               "1 if the host draws from it, 0 if it is charged, full or at rest."),
        Metric("health", FLOAT, "percent", "Battery Health",
               "What it holds when it is full, of what it held when it was new."),
        Metric("power", FLOAT, "watts", "Battery Power",
               "What is drawn from it or put into it."),
    ),
    (Label("battery_name", "Battery", "The kernel's name of it, such as `BAT0`."),),
)
# fmt: on

TABLES: Final = (_BATTERIES,)

_PREFIX: Final = "POWER_SUPPLY_"


def parse(lines: str) -> dict[str, Value]:
    r"""The figures of one power supply; none if it is no battery of the host's. Raises `ValueError`.

    The kernel counts in millionths of a watt, ampere, volt; batteries tell either of their energy
    or of their charge.

    >>> parse("POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Full\nPOWER_SUPPLY_CAPACITY=98\n")
    {'charge': 98, 'discharging': 0}
    """
    told = dict(line.removeprefix(_PREFIX).split("=", 1) for line in lines.splitlines())
    if told.get("TYPE") != "Battery" or told.get("SCOPE") == "Device":
        return {}
    numbers = {name: int(text) for name, text in told.items() if text.lstrip("-").isdecimal()}
    found: dict[str, Value] = {
        "charge": numbers.get("CAPACITY"),
        "discharging": int(told["STATUS"] == "Discharging") if "STATUS" in told else None,
        "health": _health(numbers),
        "power": _power_w(numbers),
    }
    return {name: value for name, value in found.items() if value is not None}


def _health(numbers: dict[str, int]) -> float | None:
    for kind in ("ENERGY", "CHARGE"):
        full, new = numbers.get(f"{kind}_FULL"), numbers.get(f"{kind}_FULL_DESIGN")
        if full is not None and new:
            return round(100 * full / new, 1)
    return None


def _power_w(numbers: dict[str, int]) -> float | None:
    if "POWER_NOW" in numbers:
        return abs(numbers["POWER_NOW"]) / 1e6
    if "CURRENT_NOW" in numbers and "VOLTAGE_NOW" in numbers:
        return abs(numbers["CURRENT_NOW"]) / 1e6 * numbers["VOLTAGE_NOW"] / 1e6
    return None


def _ask() -> dict[str, dict[str, Value]]:
    supplies = sorted((host.SYS / "class" / "power_supply").glob("*/uevent"))
    rows = {path.parent.name: parse(host.text(path)) for path in supplies}
    return {name: figures for name, figures in rows.items() if figures}


def sources(plan: Plan) -> tuple[Source, ...]:
    """A battery is asked by way of a controller, which may take its time."""
    return (Limited(Rows(_BATTERIES, _ask, "the host has no battery"), plan.together()),)

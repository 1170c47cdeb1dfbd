"""Every battery that powers the host; psutil reports one at most.

Reads `/sys/class/power_supply`, see Documentation/ABI/testing/sysfs-class-power in the kernel.
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
               "How full the battery is."),
        Metric("discharging", INTEGER, "yes or no", "Battery Discharging",
               "1 if the battery is discharging, 0 if it is charging, full or idle."),
        Metric("health", FLOAT, "percent", "Battery Health",
               "Capacity when full, as a percentage of the capacity when new."),
        Metric("power", FLOAT, "watts", "Battery Power",
               "Power that the battery delivers, or is charged with."),
    ),
    (Label("battery_name", "Battery", "The kernel's name for the battery, such as `BAT0`."),),
)
# fmt: on

TABLES: Final = (_BATTERIES,)

_PREFIX: Final = "POWER_SUPPLY_"


def parse(lines: str) -> dict[str, Value]:
    r"""Return the figures of one power supply. Raises `ValueError`.

    Empty for anything but a battery of the host: the mains, or a mouse's battery. The kernel's units
    are µW, µA and µV. A battery reports either its energy or its charge.

    >>> parse("POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Full\nPOWER_SUPPLY_CAPACITY=98\n")
    {'charge': 98, 'discharging': 0}
    """
    texts = dict(line.removeprefix(_PREFIX).split("=", 1) for line in lines.splitlines())
    if texts.get("TYPE") != "Battery" or texts.get("SCOPE") == "Device":
        return {}
    numbers = {name: int(text) for name, text in texts.items() if text.lstrip("-").isdecimal()}
    found: dict[str, Value] = {
        "charge": numbers.get("CAPACITY"),
        "discharging": int(texts["STATUS"] == "Discharging") if "STATUS" in texts else None,
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


def _read() -> dict[str, dict[str, Value]]:
    supplies = sorted((host.SYS / "class" / "power_supply").glob("*/uevent"))
    rows = {path.parent.name: parse(host.text(path)) for path in supplies}
    return {name: figures for name, figures in rows.items() if figures}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The batteries, with a time limit: a battery's controller may be slow to answer."""
    return (Limited(Rows(_BATTERIES, _read, "the host has no battery"), plan.deadline()),)

"""Every battery and UPS that powers the host; psutil reports one battery at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families._supplies import read_supply, supplies
from pattoo_mp.collect.families._sysfs import whole_number, within
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import FLOAT, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source
    from pattoo_mp.model import Value

# fmt: off
_BATTERIES: Final = Table(
    "batteries", "Batteries", "battery_", INTEGER,
    (
        Metric("charge", INTEGER, "percent", "Battery Charge",
               "How full the battery is."),
        Metric("discharging", INTEGER, "yes or no", "Battery Discharging",
               "1 if the battery is discharging, 0 if it is charging, full or idle; not sent if it "
               "does not know."),
        Metric("health", FLOAT, "percent", "Battery Health",
               "Capacity when full, as a percentage of the capacity when new."),
        Metric("power", FLOAT, "watts", "Battery Power",
               "Power that the battery delivers, or is charged with."),
    ),
    (Label("battery_name", "Battery", "The kernel's name for the battery, such as `BAT0`.", prometheus="power_supply"),),
    exported={
        "charge": Exported("node_power_supply_capacity"),
        "power": Exported("node_power_supply_power_watt"),
    },
)
# fmt: on

TABLES: Final = (_BATTERIES,)

#: STATUS, of which `Unknown` is no answer.
_STATUS: Final = {"Discharging": 1, "Charging": 0, "Not charging": 0, "Full": 0}
#: A battery that keeps more than this of its capacity when new has wrong figures.
_MOST_HEALTH: Final = 300


def figures_of(texts: Mapping[str, str]) -> dict[str, Value | Exception]:
    """Return the figures of one battery; an error for each that is wrong. It omits what it lacks.

    The kernel's units are µW, µA and µV. A battery reports either its energy or its charge. Raises
    `ValueError` if it reports nothing.

    >>> figures_of({"STATUS": "Full", "CAPACITY": "98"})
    {'charge': 98, 'discharging': 0}
    """
    if texts.get("PRESENT") == "0":
        raise ValueError("the battery is not in its place")
    found: dict[str, Value | Exception] = {}
    for name, figure in _FIGURES.items():
        try:
            value = figure(texts)
        except ValueError as error:
            found[name] = error
        else:
            if value is not None:
                found[name] = value
    if not found:
        raise ValueError("the battery reports no figure")
    return found


def _number(texts: Mapping[str, str], name: str) -> int | None:
    """Return a number; None if there is none. Raises `ValueError`."""
    text = texts.get(name, "")
    if not text:
        return None
    try:
        return whole_number(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _charge(texts: Mapping[str, str]) -> int | None:
    capacity = _number(texts, "CAPACITY")
    if capacity is not None:
        return int(within(capacity, 0, 100, "percent"))
    for kind in ("ENERGY", "CHARGE"):
        now, full = _number(texts, f"{kind}_NOW"), _number(texts, f"{kind}_FULL")
        if now is not None and full is not None and full > 0:
            # The kernel's own share, where it has one, ends at 100, too.
            return min(100, round(within(100 * now / full, 0, _MOST_HEALTH, "percent")))
    return None


def _discharging(texts: Mapping[str, str]) -> int | None:
    status = texts.get("STATUS", "")
    if not status:
        return None
    if status not in _STATUS:
        raise ValueError(f"its status is {status[:40]!r}")
    return _STATUS[status]


def _health(texts: Mapping[str, str]) -> float | None:
    for kind in ("ENERGY", "CHARGE"):
        full, new = _number(texts, f"{kind}_FULL"), _number(texts, f"{kind}_FULL_DESIGN")
        if full is not None and new is not None and new > 0:
            return round(within(100 * full / new, 0, _MOST_HEALTH, "percent"), 1)
    return None


def _power_w(texts: Mapping[str, str]) -> float | None:
    power = _number(texts, "POWER_NOW")
    if power is not None:
        return abs(power) / 1e6
    current, voltage = _number(texts, "CURRENT_NOW"), _number(texts, "VOLTAGE_NOW")
    if current is None or voltage is None:
        return None
    return abs(current) / 1e6 * voltage / 1e6


_FIGURES: Final[Mapping[str, Callable[[Mapping[str, str]], Value]]] = {
    "charge": _charge,
    "discharging": _discharging,
    "health": _health,
    "power": _power_w,
}


def _read(name: str) -> dict[str, Row]:
    texts = read_supply(name, battery=True)
    return {} if texts is None else {name: figures_of(texts)}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The batteries, one by one: a battery's controller may be slow to answer."""
    return (EachDevice(_BATTERIES, supplies, _read, "the host has no battery", plan),)

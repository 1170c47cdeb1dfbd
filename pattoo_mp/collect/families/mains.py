"""Whether the host is supplied with power from outside: the mains, USB, or a wireless charger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.devices import EachDevice
from pattoo_mp.collect.families._supplies import read_supply, supplies
from pattoo_mp.collect.families._sysfs import whole_number, within
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Row, Source

# fmt: off
_MAINS: Final = Table(
    "mains", "Mains", "mains_", INTEGER,
    (
        Metric("online", INTEGER, "yes or no", "Mains Online",
               "1 if power comes from this supply, 0 if not."),
    ),
    (Label("mains_name", "Mains", "The kernel's name for the supply, such as `AC`.", prometheus="power_supply"),),
    exported={
        "online": Exported("node_power_supply_online"),
    },
)
# fmt: on

TABLES: Final = (_MAINS,)

#: 1 is a fixed voltage, 2 one that the host can choose.
_MOST: Final = 2


def _read(name: str) -> dict[str, Row]:
    texts = read_supply(name, battery=False)
    if texts is None:
        return {}
    if not texts.get("ONLINE"):
        raise ValueError("the supply does not report whether it is online")
    return {name: {"online": int(within(whole_number(texts["ONLINE"]), 0, _MOST, "online") > 0)}}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The supplies, one by one: their controller may be slow to answer."""
    return (EachDevice(_MAINS, supplies, _read, "the host has no mains supply", plan),)

"""The batteries of several hosts."""

from __future__ import annotations

import pytest

from pattoo_mp.collect.families.batteries import parse
from tests.support.hosts import be, polled


def test_each_battery_of_a_laptop_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it reports energy or charge; but not the mains, and not the mouse's battery."""
    be("laptop", monkeypatch)
    assert polled("batteries").by("battery_name") == {
        "BAT0": {
            "battery_charge": 45, "battery_discharging": 1,
            "battery_health": 85.7, "battery_power": 6.843,
        },
        "BAT1": {
            "battery_charge": 100, "battery_discharging": 0,
            "battery_health": 102.5, "battery_power": 6.0,
        },
    }  # fmt: skip


@pytest.mark.parametrize("host", ["virtual", "container"])
def test_a_host_without_a_battery_leaves_the_family_out(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has a list of power supplies or not."""
    be(host, monkeypatch)
    poll = polled("batteries")
    assert poll.series == {}
    assert poll.left_out == {"batteries": "NotImplementedError: the host has no battery"}


@pytest.mark.parametrize(
    "lines",
    ["POWER_SUPPLY_ENERGY_FULL_DESIGN=0\nPOWER_SUPPLY_ENERGY_FULL=5", "POWER_SUPPLY_CAPACITY=",
     "POWER_SUPPLY_CURRENT_NOW=1", "POWER_SUPPLY_POWER_NOW=?"],
)  # fmt: skip
def test_fields_that_a_battery_lacks_are_omitted(lines: str) -> None:
    """Controllers leave fields empty, and report sizes of 0."""
    assert parse(f"POWER_SUPPLY_TYPE=Battery\n{lines}") == {}

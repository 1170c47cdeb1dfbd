"""Batteries, UPS and mains of several hosts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host
from pattoo_mp.collect.families import _supplies
from pattoo_mp.collect.families.batteries import figures_of
from tests.support.hosts import HOSTS, be, polled
from tests.support.sysfs import SysFS

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.model import Value

CLASS = "class/power_supply"
GOOD = "POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_CAPACITY=50"
LAPTOP = {
    "BAT0": {
        "battery_charge": 45, "battery_discharging": 1,
        "battery_health": 85.7, "battery_power": 6.843,
    },
    "BAT1": {
        "battery_charge": 100, "battery_discharging": 0,
        "battery_health": 102.5, "battery_power": 6.0,
    },
}  # fmt: skip


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SysFS:
    """Return a host with one good battery, `BAT9`."""
    found = SysFS(tmp_path / "sys", monkeypatch)
    found.write(f"{CLASS}/BAT9", {"uevent": GOOD})
    return found


def charges() -> dict[str, Value]:
    """Return the charge of each battery of a poll that has one."""
    rows = polled("batteries").by("battery_name")
    return {name: row["battery_charge"] for name, row in rows.items() if "battery_charge" in row}


def test_each_battery_of_a_laptop_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it reports energy or charge; but not the mains, and not the mouse's battery."""
    be("laptop", monkeypatch)
    poll = polled("batteries")
    assert poll.by("battery_name") == LAPTOP
    assert poll.left_out == {}


def test_a_ups_is_a_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its charge comes from what it holds; a status that it does not know is not sent."""
    be("board", monkeypatch)
    poll = polled("batteries")
    assert poll.by("battery_name") == {"ups": {"battery_charge": 75}}
    assert poll.left_out == {"batteries ups discharging": "its status is 'Unknown'"}


def test_the_mains_are_online_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 is a voltage that the host may choose. A mouse's battery is online, too, and no mains."""
    be("laptop", monkeypatch)
    assert polled("mains").by("mains_name") == {"AC": {"mains_online": 0}}
    be("board", monkeypatch)
    assert polled("mains").by("mains_name") == {"usb-c": {"mains_online": 1}}


@pytest.mark.parametrize("text", ["", "3", "-1", "yes"])
def test_mains_that_do_not_say_so_are_left_out(text: str, sysfs: SysFS) -> None:
    """With the reason."""
    sysfs.write(f"{CLASS}/A", {"uevent": f"POWER_SUPPLY_TYPE=Mains\nPOWER_SUPPLY_ONLINE={text}"})
    sysfs.write(f"{CLASS}/B", {"uevent": "POWER_SUPPLY_TYPE=Mains\nPOWER_SUPPLY_ONLINE=1"})
    poll = polled("mains")
    assert poll.by("mains_name") == {"B": {"mains_online": 1}}
    assert list(poll.left_out) == ["mains A"]


@pytest.mark.parametrize("name", ["virtual", "container"])
def test_a_host_without_a_battery_leaves_the_families_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has a list of power supplies or not."""
    be(name, monkeypatch)
    poll = polled("batteries", "mains")
    assert poll.series == {}
    assert poll.left_out == {
        "batteries": "the host has no battery",
        "mains": "the host has no mains supply",
    }


def test_the_type_may_be_in_a_file_of_its_own(sysfs: SysFS) -> None:
    """As in Linux before 5.5; and the scope."""
    capacity = {"uevent": "POWER_SUPPLY_CAPACITY=61"}
    sysfs.write(f"{CLASS}/BAT0", {**capacity, "type": "Battery"})
    sysfs.write(f"{CLASS}/mouse", {**capacity, "type": "Battery", "scope": "Device"})
    sysfs.write(f"{CLASS}/AC", {"uevent": "POWER_SUPPLY_ONLINE=1", "type": "Mains"})
    assert charges() == {"BAT0": 61, "BAT9": 50}
    assert polled("mains").by("mains_name") == {"AC": {"mains_online": 1}}
    assert polled("batteries").left_out == {}


@pytest.mark.parametrize(
    ("uevent", "why"),
    [
        ("", "it does not report what kind of power supply it is"),
        ("POWER_SUPPLY_CAPACITY=5", "it does not report what kind of power supply it is"),
        ("POWER_SUPPLY_TYPE=Battery", "the battery reports no figure"),
        ("POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_PRESENT=0\nPOWER_SUPPLY_CAPACITY=0",
         "the battery is not in its place"),
    ],
)  # fmt: skip
def test_a_battery_without_figures_is_named(uevent: str, why: str, sysfs: SysFS) -> None:
    """The others are reported."""
    sysfs.write(f"{CLASS}/BAT0", {"uevent": uevent})
    assert charges() == {"BAT9": 50}
    assert polled("batteries").left_out == {"batteries BAT0": why}


@pytest.mark.parametrize("type_", [None, "Battery"])
def test_an_unreadable_battery_is_named(type_: str | None, sysfs: SysFS) -> None:
    """The kernel answers ENODEV for one that is being taken out."""
    (sysfs.root / CLASS / "BAT0" / "uevent").mkdir(parents=True)
    if type_:
        sysfs.write(f"{CLASS}/BAT0", {"type": type_})
    (sysfs.root / CLASS / "AC" / "uevent").mkdir(parents=True)
    sysfs.write(f"{CLASS}/AC", {"type": "Mains"})
    assert charges() == {"BAT9": 50}
    (left_out,) = polled("batteries").left_out.items()
    assert left_out[0] == "batteries BAT0"
    assert "Is a directory" in left_out[1]


@pytest.mark.parametrize("name", ["a\vb", "a\x1cb", "a\u2028b", "a\x85b", "a=b", "a\nno sign"])
def test_any_name_of_a_model_is_no_matter(name: str, sysfs: SysFS) -> None:
    """Only a line feed ends a line, and a line may have no `=`."""
    sysfs.write(
        f"{CLASS}/BAT0",
        {
            "uevent": f"POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_MODEL_NAME={name}\nPOWER_SUPPLY_CAPACITY=61"
        },
    )
    assert charges() == {"BAT0": 61, "BAT9": 50}
    assert polled("batteries").left_out == {}


@pytest.mark.parametrize("kind", ["ENERGY", "CHARGE"])
@pytest.mark.parametrize(
    ("now", "full", "charge"), [(30, 40, 75), (41, 40, 100), (0, 40, 0), (30, 0, None)]
)
def test_the_charge_may_come_from_what_the_battery_holds(
    kind: str, now: int, full: int, charge: int | None
) -> None:
    """Where the kernel has no share; no more than 100 % of a battery that is full."""
    texts = {f"{kind}_NOW": f"{now}000000", f"{kind}_FULL": f"{full}000000", "STATUS": "Full"}
    assert figures_of(texts).get("charge") == charge
    assert figures_of({**texts, "CAPACITY": "12"})["charge"] == 12


@pytest.mark.parametrize(
    "texts",
    [{"ENERGY_FULL_DESIGN": "0", "ENERGY_FULL": "5"}, {"CAPACITY": ""}, {"CURRENT_NOW": "1"},
     {"ENERGY_NOW": "5"}],
)  # fmt: skip
def test_fields_that_a_battery_lacks_are_omitted(texts: dict[str, str]) -> None:
    """Controllers leave fields empty, and report sizes of 0."""
    assert figures_of({**texts, "STATUS": "Full"}) == {"discharging": 0}


@pytest.mark.parametrize(
    ("texts", "figure", "why"),
    [
        ({"CAPACITY": "255"}, "charge", "255 percent is not possible"),
        ({"CAPACITY": "-1"}, "charge", "-1 percent is not possible"),
        (
            {"ENERGY_FULL": "50", "ENERGY_FULL_DESIGN": "1"},
            "health",
            "5000 percent is not possible",
        ),
        (
            {"CHARGE_FULL": "-5", "CHARGE_FULL_DESIGN": "10"},
            "health",
            "-50 percent is not possible",
        ),
        ({"POWER_NOW": "?"}, "power", "POWER_NOW: '?' is not a whole number"),
    ],
)
def test_a_figure_that_cannot_be_right_is_left_out_alone(
    texts: dict[str, str], figure: str, why: str
) -> None:
    """With the reason."""
    found = figures_of({**texts, "STATUS": "Full"})
    assert {name: str(value) for name, value in found.items()} == {"discharging": "0", figure: why}


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                ["POWER_SUPPLY_TYPE=Battery", "POWER_SUPPLY_TYPE=Mains", "POWER_SUPPLY_CAPACITY=",
                 "POWER_SUPPLY_ONLINE=7", "POWER_SUPPLY_STATUS=\v", "POWER_SUPPLY_ENERGY_NOW=1e9",
                 f"POWER_SUPPLY_POWER_NOW={'9' * 5000}", "=", "\x1c"]
            )
        ).map(lambda lines: "\n".join(lines).encode()),
    )
)  # fmt: skip
def test_a_damaged_supply_changes_no_other(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other batteries, and the mains, have the values that they had."""
    root = tmp_path / "sys"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HOSTS / "laptop" / "sys" / CLASS, root / CLASS)
    (root / CLASS / "BAT00").mkdir()
    (root / CLASS / "BAT00" / "uevent").write_bytes(content)
    monkeypatch.setattr(host, "SYS", root)
    found = polled("batteries").by("battery_name")
    assert {name: row for name, row in found.items() if name != "BAT00"} == LAPTOP
    assert polled("mains").by("mains_name")["AC"] == {"mains_online": 0}


def test_no_supply_is_asked_for_what_its_uevent_has(sysfs: SysFS) -> None:
    """A poll reads one file of each battery."""
    supply = "POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_SCOPE=System\nPOWER_SUPPLY_CAPACITY=5"
    sysfs.write(f"{CLASS}/BAT0", {"uevent": supply})
    (sysfs.root / CLASS / "BAT0" / "type").mkdir()
    (sysfs.root / CLASS / "BAT0" / "scope").mkdir()
    assert _supplies.read_supply("BAT0", battery=True) is not None

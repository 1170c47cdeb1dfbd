"""Thermal zones of several hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.hosts import be, polled
from tests.support.sysfs import SysFS

if TYPE_CHECKING:
    from pathlib import Path

CLASS = "class/thermal"


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SysFS:
    """Return a host with one good zone."""
    found = SysFS(tmp_path / "sys", monkeypatch)
    found.write(f"{CLASS}/thermal_zone9", {"type": "good", "temp": "20000"})
    return found


GOOD = {"good (thermal_zone9)": {"thermal_zone_current": 20.0}}


def test_each_zone_has_its_temperature_and_the_limits_that_it_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A passive limit is none of them; nor is one that the kernel calls invalid."""
    be("board", monkeypatch)
    assert polled("thermal_zones").by("thermal_zone_name") == {
        "cpu-thermal (thermal_zone0)": {
            "thermal_zone_current": 52.5, "thermal_zone_hot": 85.0, "thermal_zone_critical": 95.0,
        },
        "gpu-thermal (thermal_zone1)": {"thermal_zone_current": 48.125},
    }  # fmt: skip
    be("laptop", monkeypatch)
    assert polled("thermal_zones").by("thermal_zone_name") == {
        "acpitz (LNXTHERM:00)": {"thermal_zone_current": 47.0, "thermal_zone_critical": 128.0},
        "x86_pkg_temp (thermal_zone1)": {"thermal_zone_current": 61.0},
    }


@pytest.mark.parametrize("invalid", ["-274000", "2147483647"])
def test_a_limit_that_is_none_is_not_sent(invalid: str, sysfs: SysFS) -> None:
    """The kernel has a temperature that means "invalid"."""
    sysfs.write(
        f"{CLASS}/thermal_zone9", {"trip_point_0_type": "critical", "trip_point_0_temp": invalid}
    )
    poll = polled("thermal_zones")
    assert (poll.by("thermal_zone_name"), poll.left_out) == (GOOD, {})


@pytest.mark.parametrize("text", ["", "?", "-274000", "9" * 5000])
def test_a_zone_without_a_temperature_is_left_out_alone(text: str, sysfs: SysFS) -> None:
    """With the reason."""
    sysfs.write(f"{CLASS}/thermal_zone0", {"type": "bad", "temp": text})
    poll = polled("thermal_zones")
    assert poll.by("thermal_zone_name") == GOOD
    assert list(poll.left_out) == ["thermal_zones bad (thermal_zone0)"]


def test_a_zone_that_is_going_away_is_left_out_alone(sysfs: SysFS) -> None:
    """Its files are gone before it is."""
    sysfs.write(f"{CLASS}/thermal_zone0", {})
    poll = polled("thermal_zones")
    assert poll.by("thermal_zone_name") == GOOD
    assert list(poll.left_out) == ["thermal_zones thermal_zone0"]


def test_a_limit_that_cannot_be_read_is_left_out_alone(sysfs: SysFS) -> None:
    """The temperature is sent."""
    sysfs.write(
        f"{CLASS}/thermal_zone9", {"trip_point_0_type": "critical", "trip_point_0_temp": "?"}
    )
    poll = polled("thermal_zones")
    assert poll.by("thermal_zone_name") == GOOD
    assert poll.left_out == {
        "thermal_zones good (thermal_zone9) critical": "'?' is not a whole number"
    }


def test_zones_of_one_type_keep_their_series_when_one_is_gone(sysfs: SysFS) -> None:
    """The kernel gives no zone the number of another."""
    for number in (1, 2, 10):
        sysfs.write(
            f"{CLASS}/thermal_zone{number}", {"type": "x86_pkg_temp", "temp": f"{number}000"}
        )
    before = polled("thermal_zones").by("thermal_zone_name")
    for file in ("type", "temp"):
        (sysfs.root / CLASS / "thermal_zone1" / file).unlink()
    (sysfs.root / CLASS / "thermal_zone1").rmdir()
    after = polled("thermal_zones").by("thermal_zone_name")
    del before["x86_pkg_temp (thermal_zone1)"]
    assert after == before


def test_a_host_without_zones_leaves_the_family_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as most virtual hosts."""
    be("virtual", monkeypatch)
    assert polled("thermal_zones").left_out == {"thermal_zones": "the host has no thermal zone"}

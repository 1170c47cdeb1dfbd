"""Temperatures and fans, of a recorded host and of chips made for the test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host
from pattoo_mp.collect.families import temperatures
from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.poller import Poller
from tests.support.hanging import file_hangs
from tests.support.hosts import HOSTS, be, polled
from tests.support.sources import sources_of
from tests.support.sysfs import SysFS
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.model import Value

NVME, PACKAGE = "nvme Composite (S4EWNX0N123456 temp1)", "coretemp Package id 0 (coretemp.0 temp1)"
CORES = ["coretemp Core 0 (coretemp.0 temp2)", "coretemp Core 1 (coretemp.0 temp3)"]
LAPTOP = {
    "acpitz (LNXTHERM:00 temp1)": (47.0, None, 128.0),
    NVME: (38.85, 81.85, 84.85),
    "nvme Sensor 1 (S4EWNX0N123456 temp2)": (41.85, None, None),
    "thinkpad CPU (thinkpad_hwmon temp1)": (45.0, None, None),
    "thinkpad (thinkpad_hwmon temp3)": (0.0, None, None),
    PACKAGE: (61.0, 100.0, 100.0),
    CORES[0]: (58.0, 100.0, 100.0),
    CORES[1]: (60.0, 100.0, 100.0),
    "iwlwifi_1 (0000:00:14.3 temp1)": (39.0, None, None),
}


def heat(**filters: Filter) -> dict[str, tuple[Value, Value, Value]]:
    """Return the current temperature and the limits of each sensor of a poll."""
    return {
        name: tuple(figures.get(f"temperature_{k}") for k in ("current", "high", "critical"))  # type: ignore[misc]
        for name, figures in polled("temperatures", **filters).by("temperature_sensor").items()
    }


def current() -> dict[str, Value]:
    """Return the current temperature of each sensor of a poll."""
    return {name: figures[0] for name, figures in heat().items()}


def fans() -> dict[str, Value]:
    """Return the speed of each fan of a poll."""
    return {name: row["fan_speed"] for name, row in polled("fans").by("fan_sensor").items()}


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SysFS:
    """Return a host without any device."""
    return SysFS(tmp_path / "sys", monkeypatch)


def test_each_sensor_is_named_by_chip_label_device_and_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of a laptop: of a zone, an NVMe disk, the mainboard, the processor and the radio."""
    be("laptop", monkeypatch)
    assert heat() == LAPTOP
    assert fans() == {"thinkpad (thinkpad_hwmon fan1)": 3512, "thinkpad (thinkpad_hwmon fan2)": 0}
    assert polled("temperatures", "fans").left_out == {}


def test_sensors_of_one_name_keep_their_series_when_the_chips_are_renumbered(sysfs: SysFS) -> None:
    """Two disks of one model, by the numbers of their maker, though host and chip have others."""
    sysfs.disk(1, "0:0:0:0", "naa.50000001", temp1_input="31000")
    sysfs.disk(2, "1:0:0:0", "naa.50000002", temp1_input="52000")
    before = current()
    sysfs.clear()
    sysfs.disk(2, "1:0:0:0", "naa.50000001", temp1_input="31000")
    sysfs.disk(1, "0:0:0:0", "naa.50000002", temp1_input="52000")
    assert before == current()
    assert before == {
        "drivetemp (naa.50000001 temp1)": 31.0,
        "drivetemp (naa.50000002 temp1)": 52.0,
    }


@pytest.mark.parametrize("wwid", ["", "naa.5000000{:02}"])
def test_a_pulled_disk_shifts_no_other(sysfs: SysFS, wwid: str) -> None:
    """Of twelve; whether they have a number of their maker's or only an address."""
    for number in range(12):
        address = f"{number % 10}:0:{number // 10}:0"
        sysfs.disk(number, address, wwid.format(number), temp1_input=str(30_000 + 1000 * number))
    before = current()
    assert list(before.values()) == [30.0 + number for number in range(12)]
    (sysfs.root / "class/hwmon/hwmon4").unlink()
    after = current()
    assert before.items() - after.items() == {(list(before)[4], 34.0)}
    assert after.items() < before.items()


@pytest.mark.parametrize("kind", ["temp", "fan"])
def test_a_sensor_without_a_value_gives_its_series_to_no_other(sysfs: SysFS, kind: str) -> None:
    """It is left out, with the reason."""
    family, ask = {"temp": ("temperatures", current), "fan": ("fans", fans)}[kind]
    for number in (0, 1, 2):
        sysfs.disk(number, f"{number}:0:0:0", **{f"{kind}1_input": f"{number + 3}000"})
    before = ask()
    path = sysfs.root / f"class/hwmon/hwmon0/{kind}1_input"
    path.unlink()
    path.mkdir()  # reading it is an error
    names = [f"drivetemp ({number}:0:0:0 {kind}1)" for number in (0, 1, 2)]
    assert ask() == {name: before[name] for name in names[1:]}
    assert "Is a directory" in polled(family).left_out[f"{family} {names[0]}"]


def test_a_second_chip_of_the_same_name_renames_no_other(sysfs: SysFS) -> None:
    """The name of a sensor does not depend on what else there is."""
    sysfs.chip(5, "platform/coretemp.0", name="coretemp", temp2_input="50000", temp2_label="Core 0")
    before = current()
    sysfs.chip(1, "platform/coretemp.1", name="coretemp", temp2_input="60000", temp2_label="Core 0")
    assert current() == {**before, "coretemp Core 0 (coretemp.1 temp2)": 60.0}


def test_two_sensors_of_one_label_are_told_apart_by_their_channels(sysfs: SysFS) -> None:
    """Some mainboards call several of them `Other`."""
    sysfs.chip(
        0, "platform/dell", name="dell_smm", temp1_input="40000", temp1_label="Other",
        temp2_input="50000", temp2_label="Other",
    )  # fmt: skip
    assert current() == {
        "dell_smm Other (dell temp1)": 40.0, "dell_smm Other (dell temp2)": 50.0,
    }  # fmt: skip


def test_a_label_that_cannot_be_read_leaves_the_sensor_out(sysfs: SysFS) -> None:
    """Without it the sensor would have another name until it can be read again."""
    path = sysfs.chip(0, "platform/x", name="x", temp1_input="1000", temp2_input="2000")
    (path / "temp1_label").mkdir()
    assert current() == {"x (x temp2)": 2.0}
    assert list(polled("temperatures").left_out) == ["temperatures x (x temp1)"]


def test_chips_that_nothing_tells_apart_are_left_out(sysfs: SysFS) -> None:
    """Which of them is which may be another way round in the next poll."""
    sysfs.chip(0, "", name="virtual", temp1_input="1000")
    assert current() == {"virtual (temp1)": 1.0}
    sysfs.chip(1, "", name="virtual", temp1_input="2000")
    sysfs.chip(2, "", name="other", temp1_input="3000")
    assert current() == {"other (temp1)": 3.0}
    assert polled("temperatures").left_out == {
        "temperatures virtual (temp1)": "two devices have this name, and nothing tells them apart"
    }


def test_a_chip_on_i2c_is_named_by_its_bus_whatever_number_that_has(sysfs: SysFS) -> None:
    """Memory modules; the buses are numbered in the order in which their drivers are loaded."""
    for bus in (3, 7):
        sysfs.clear()
        device = f"pci0000:00/0000:00:1f.4/i2c-{bus}"
        sysfs.write(f"devices/{device}", {"name": "SMBus I801 adapter at efa0"})
        sysfs.chip(0, f"{device}/{bus}-0018", name="jc42", temp1_input="33500")
        assert current() == {"jc42 (0000:00:1f.4 SMBus I801 adapter at efa0 0018 temp1)": 33.5}


def test_a_chip_on_usb_is_named_by_its_port(sysfs: SysFS) -> None:
    """The kernel counts how often a HID device was plugged in."""
    for count in ("0005", "0006"):
        sysfs.clear()
        sysfs.chip(0, f"usb1/1-3/1-3:1.0/0003:1B1C:1C0A.{count}", name="psu", fan1_input="900")
        assert fans() == {"psu (1-3:1.0 fan1)": 900}


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({"temp1_crit": "90000"}, (None, 90.0)),
        ({"temp1_max": "80000"}, (80.0, None)),
        ({"temp1_max": "80000", "temp1_crit": "90000"}, (80.0, 90.0)),
        ({"temp1_max": "65261850", "temp1_crit": "-273150"}, (None, None)),
    ],
)
def test_only_limits_that_a_chip_gives_are_sent(
    sysfs: SysFS, files: dict[str, str], limits: tuple[float | None, float | None]
) -> None:
    """None stands in for the other; drivers say "no limit" by the end of a device's range."""
    sysfs.chip(0, "platform/x", name="x", temp1_input="42000", **files)
    assert heat() == {"x (x temp1)": (42.0, *limits)}
    assert polled("temperatures").left_out == {}


def test_a_limit_that_cannot_be_read_is_left_out_alone(sysfs: SysFS) -> None:
    """With the reason."""
    sysfs.chip(0, "platform/x", name="x", temp1_input="42000", temp1_max="?", temp1_crit="90000")
    assert heat() == {"x (x temp1)": (42.0, None, 90.0)}
    assert polled("temperatures").left_out == {
        "temperatures x (x temp1) high": "'?' is not a whole number"
    }


@pytest.mark.parametrize(
    ("kind", "files", "why"),
    [
        ("temp", {"temp1_input": "-300000"}, "-300 degrees Celsius is not possible"),
        ("temp", {"temp1_input": "65261850"}, "65261.8 degrees Celsius is not possible"),
        ("temp", {"temp1_input": ""}, "'' is not a whole number"),
        ("temp", {"temp1_input": "9" * 5000}, f"'{'9' * 40}' is not a whole number"),
        ("temp", {"temp1_input": "40000", "temp1_fault": "1"},
         "the chip reports a fault of this sensor"),
        ("fan", {"fan1_input": "-1"}, "-1 revolutions per minute is not possible"),
        ("fan", {"fan1_input": "800", "fan1_fault": "1"},
         "the chip reports a fault of this sensor"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_right_is_left_out(
    sysfs: SysFS, kind: str, files: dict[str, str], why: str
) -> None:
    """The chip's other sensors are not."""
    sysfs.chip(0, "platform/x", name="x", **{f"{kind}2_input": "3000"}, **files)
    family = "temperatures" if kind == "temp" else "fans"
    poll = polled(family)
    assert [series.metadata[-1][1] for series in poll.series] == [f"x (x {kind}2)"]
    assert poll.left_out == {f"{family} x (x {kind}1)": why}


def test_a_chip_without_a_name_is_named_by_its_device(sysfs: SysFS) -> None:
    """It takes no other along, either; nor does one that has neither."""
    sysfs.chip(0, "platform/it87.656", fan1_input="700")
    sysfs.chip(1, "", fan1_input="800")
    sysfs.chip(2, "platform/good", name="good", fan1_input="900")
    assert fans() == {"(it87.656 fan1)": 700, "good (good fan1)": 900}
    assert polled("fans").left_out == {
        "fans hwmon1": "it has neither a name nor a device: nothing says which chip it is"
    }


def test_a_chip_whose_files_are_those_of_its_device_is_read_beside_others(sysfs: SysFS) -> None:
    """As old drivers have it."""
    sysfs.chip(0, "platform/new", name="new", fan1_input="700", temp1_input="41000")
    sysfs.chip(1, "platform/old")
    sysfs.write(
        "devices/platform/old", {"name": "old", "fan1_input": "800", "temp1_input": "42000"}
    )
    assert fans() == {"new (new fan1)": 700, "old (old fan1)": 800}
    assert current() == {"new (new temp1)": 41.0, "old (old temp1)": 42.0}


def test_a_name_keeps_the_characters_that_end_lines_elsewhere(sysfs: SysFS) -> None:
    """A line of the kernel's ends with a line feed, and with nothing else."""
    sysfs.chip(0, "platform/x", name="a\x1cb\u2028c", temp1_input="1000", temp1_label="d\x85e")
    assert list(current()) == ["a\x1cb\u2028c d\x85e (x temp1)"]


def test_filtered_sensors_are_not_read(monkeypatch: pytest.MonkeyPatch, sysfs: SysFS) -> None:
    """Patterns match the whole name; what they leave out is no fault."""
    sysfs.disk(0, "0:0:0:0", temp1_input="?")
    filters = Filter(("coretemp *", "nvme*"), ("* Core *",))
    poll = polled("temperatures", temperatures=filters)
    assert (poll.series, poll.left_out) == ({}, {})
    be("laptop", monkeypatch)
    assert heat(temperatures=filters) == {
        name: row for name, row in LAPTOP.items() if name.startswith("nvme") or name == PACKAGE
    }


def test_names_for_the_doctor_are_those_of_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns are compared with them."""
    be("laptop", monkeypatch)
    assert list(temperatures.names()) == list(LAPTOP)


def test_a_host_without_sensors_leaves_the_families_out(sysfs: SysFS) -> None:
    """Such as most virtual hosts."""
    del sysfs
    assert polled("temperatures", "fans").left_out == {
        "temperatures": "the host has no sensor of temperatures; see the family thermal_zones",
        "fans": "the host reports no fan",
    }


def test_a_sensor_that_hangs_holds_up_nothing(sysfs: SysFS) -> None:
    """Its chip is left out; the others, and other families, are polled."""
    path = sysfs.disk(0, "0:0:0:0", temp1_input="31000") / "temp1_input"
    sysfs.disk(1, "1:0:0:0", temp1_input="32000")
    poller = Poller(sources_of("temperatures", "uptime", limit_s=0.4), ORIGIN, 1000)
    keys = ["temperature_current", "uptime_seconds", "uptime_boot_time"]
    with file_hangs(path):
        layout, poll = poller.poll(1000)
        assert [series.key for series in layout.series] == keys
        assert poll.values()[0] == 32.0
        assert poller.left_out == {"temperatures hwmon0": "no answer within 0.4 s"}
    wait_for(lambda: poller.poll(2000)[1].values()[:2] == [31.0, 32.0], what="its return")


DAMAGE = st.sampled_from(["", "?", "-1", "9" * 5000, "\udc80", "1\n2", "gone", "unreadable"])
LAPTOPS_FILES = sorted(
    str(path.relative_to(HOSTS / "laptop" / "sys"))
    for path in (HOSTS / "laptop" / "sys" / "class").rglob("*")
    if path.is_file() and "hwmon" in str(path)
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(LAPTOPS_FILES), damage=DAMAGE)
def test_a_damaged_file_changes_nothing_of_other_chips(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values of all others are as before, under the same names."""
    root = tmp_path / "sys"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HOSTS / "laptop" / "sys", root, symlinks=True)
    monkeypatch.setattr(host, "SYS", root)
    spoil(root / name, damage)
    own = (root / name).parent.name
    others = {
        series: value
        for chip in ("hwmon0", "hwmon1", "hwmon2", "hwmon3", "hwmon4")
        if chip != own
        for series, value in only(chip, root, monkeypatch).items()
    }
    monkeypatch.setattr(host, "SYS", root)
    poll = polled("temperatures", "fans")
    assert others.items() <= poll.series.items()
    assert all(isinstance(value, int | float) for value in poll.series.values())


def spoil(path: Path, damage: str) -> None:
    """Damage a file; a directory in its place cannot be read."""
    path.unlink()
    if damage == "unreadable":
        path.mkdir()
    elif damage != "gone":
        path.write_text(damage, errors="surrogateescape")


def only(chip: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Any, Value]:
    """Return the series of a host that has this chip only."""
    apart = root.parent / "apart"
    shutil.rmtree(apart, ignore_errors=True)
    (apart / "class/hwmon").mkdir(parents=True)
    (apart / "class/hwmon" / chip).symlink_to((root / "class/hwmon" / chip).resolve())
    monkeypatch.setattr(host, "SYS", apart)
    return polled("temperatures", "fans").series


# A contract with psutil, which reads the same files, but only below /sys.

#: Every sensor of psutil: chip, label, value and limits.
ASK_PSUTIL = """
import json, psutil
print(json.dumps([
    [[chip, *sensor] for chip, sensors in ask().items() for sensor in sensors]
    for ask in (psutil.sensors_temperatures, psutil.sensors_fans)
]))
"""


def psutils(mount: str = "") -> list[list[list[Any]]]:
    """Return psutil's temperatures and fans, of this host or of a `/sys` that is mounted first."""
    code = [sys.executable, "-c", ASK_PSUTIL]
    if mount:
        apart = ["unshare", "--mount", "--propagation", "private"]
        apart += [] if os.geteuid() == 0 else ["--map-root-user"]
        code = [*apart, "sh", "-c", 'mount --bind "$0" /sys && exec "$@"', mount, *code]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and mount:
        pytest.skip(f"no mount namespace to be had here: {done.stderr.strip()[-200:]}")
    found: list[list[list[Any]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["", "laptop"])
def test_what_psutil_reports_too_is_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this host, and on a recorded one. psutil takes a limit for the other where one is missing."""
    temperatures_there, fans_there = psutils(str(HOSTS / name / "sys") if name else "")
    if name:
        be(name, monkeypatch)
        assert len(temperatures_there) == len(LAPTOP)
    chips_here = any(host.SYS.glob("class/hwmon/*/temp*_input"))  # else psutil asks for zones
    if chips_here:
        ours = sorted((key.rpartition(" (")[0], *row) for key, row in heat().items())
        theirs = sorted(
            (f"{chip} {label}".strip(), *row) for chip, label, *row in temperatures_there
        )
        assert [row[:2] for row in ours] == [row[:2] for row in theirs]
        for (_, _, *limits), (_, _, *others) in zip(ours, theirs, strict=True):
            assert all(one in {None, other} for one, other in zip(limits, others, strict=True))
    assert sorted(fans().values()) == sorted(speed for _, _, speed in fans_there)  # type: ignore[type-var]


def test_this_process_asks_psutil_for_no_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses all sensors for one that is damaged, and swaps those of one name."""

    def ask() -> None:
        raise AssertionError("psutil was asked")

    monkeypatch.setattr(psutil, "sensors_temperatures", ask)
    monkeypatch.setattr(psutil, "sensors_fans", ask)
    be("laptop", monkeypatch)
    assert len(polled("temperatures", "fans").by("hostname")) == 1

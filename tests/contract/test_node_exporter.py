"""Debian's node_exporter on the same hosts: each value that both give is equal."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.families import processor
from pattoo_mp.collect.families.uptime import kernel_boot_time
from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.config.families import EVERY
from pattoo_mp.model import COUNTER64
from tests.support import node_exporter
from tests.support.hosts import HOSTS, NAMES, polled
from tests.support.node_exporter_names import (
    COUNTED_BY_STATE,
    DIFFERENT,
    LABELS,
    TWINS,
    Twin,
    described,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pattoo_mp.model import Series, Value
    from tests.support.node_exporter import Name

    Theirs = Mapping[Name, float]

pytestmark = pytest.mark.skipif(node_exporter.PROGRAM is None, reason=node_exporter.WHY_MISSING)

#: Of both, of all devices.
_ALL: Final = {"disks": Filter(), "mounts": Filter(), "without_device": Filter()}
#: What psutil or the kernel only gives of the machine at hand: mounts, and the load average.
_OF_THE_MACHINE: Final = {"partitions", "inodes", "mount_state", "users", "agent"}
_LOAD: Final = "load_average_"
#: How many values must be compared, at least: fewer would mean that a host lost its files.
_LEAST: Final = {
    "virtual": 230,
    "laptop": 205,
    "board": 130,
    "server": 280,
    "old": 140,
    "container": 3,
}
#: The kernel sums up nanoseconds, node_exporter whole hundredths of a second of each processor.
_TICK_S: Final = 0.01
#: /proc/loadavg has two decimals; this agent asks the kernel for more.
_LOAD_DIGIT: Final = 0.01
#: Both compute with 53 bits.
_ROUNDING: Final = 1e-12
_ROUNDS: Final = 20


def with_chip_names(theirs: Theirs) -> Theirs:
    """Add the name of its chip to each sensor's series."""
    chips = {
        dict(labels)["chip"]: ("chip_name", dict(labels)["chip_name"])
        for name, labels in theirs
        if name == "node_hwmon_chip_names"
    }
    return {
        (
            name,
            labels | {chips[chip]} if (chip := dict(labels).get("chip")) in chips else labels,
        ): value
        for (name, labels), value in theirs.items()
    }


def their_values(twin: Twin, series: Series, theirs: Theirs) -> list[float]:
    """Return what node_exporter gives for one of our series: several values if they cannot be told apart."""
    wanted = set(twin.labels.items())
    for key, value in series.metadata:
        wanted |= {(label, convert(value)) for label, convert in LABELS.get(key, {}).items()}
    found = {
        name: [
            value for (each, labels), value in theirs.items() if each == name and wanted <= labels
        ]
        for name in (twin.name, twin.plus, twin.minus)
        if name
    }
    values = found[twin.name]
    if not values and twin.name in COUNTED_BY_STATE:
        return [0.0] if any(name == twin.name for name, _ in theirs) else []
    if twin.total:
        return [math.fsum(values)] if values else []
    if twin.plus:
        return [a + b for a, b in zip(values, found[twin.plus], strict=True)]
    if twin.minus:
        return [a - b for a, b in zip(values, found[twin.minus], strict=True)]
    return values


def compared(
    ours: Mapping[Series, Value], theirs: Theirs
) -> Iterator[tuple[Series, float, list[float]]]:
    """Yield our series that node_exporter has, with our value in its unit, and its values."""
    theirs = with_chip_names(theirs)
    for series, value in ours.items():
        twin = TWINS.get(series.key)
        if twin and value is not None and (found := their_values(twin, series, theirs)):
            yield series, float(value) * twin.factor, found


def device_of(series: Series) -> str:
    """Return the name of a series' device; empty if it has none."""
    return " ".join(text for key, text in series.metadata if key in LABELS)


def start_now(procfs: Path) -> None:
    """Make the uptime that of now: the start is as long ago as the files say."""
    with suppress(FileNotFoundError):
        started = kernel_boot_time((procfs / "stat").read_text())
        (procfs / "uptime").write_text(f"{time.time() - (started or 0):.2f} 0.00\n")


def test_each_key_has_a_twin_or_a_reason() -> None:
    """Each key of this agent has a series of node_exporter, or the reason why it has none."""
    tables = registry.tables()
    keys = {table.key(metric) for table in tables for metric in table.metrics}
    assert {key for key in keys if described(key) is None} == set()
    assert set(TWINS) <= keys


def test_each_label_of_a_twin_is_translated() -> None:
    """Each label of a table whose keys have twins has one of node_exporter's, or is left out knowingly."""
    for table in registry.tables():
        if any(table.key(metric) in TWINS for metric in table.metrics):
            assert {label.key for label in table.labels} <= set(LABELS), table.name


@pytest.mark.parametrize("name", NAMES)
def test_values_of_a_test_host_are_equal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each stored host, each value that both give is equal, in the same unit."""
    directory = node_exporter.copy_of(HOSTS / name, tmp_path / name)
    paths = HostPaths(directory / "proc", directory / "sys", directory)
    start_now(paths.procfs)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(paths.procfs), raising=False)
    monkeypatch.setattr(host, "SYS", paths.sysfs)
    arguments = [f"--path.{n}={p}" for n, p in (("procfs", paths.procfs), ("sysfs", paths.sysfs))]
    with node_exporter.running(*arguments, f"--path.rootfs={directory}") as ask:
        theirs = ask()
    families = [family for family in EVERY if family not in _OF_THE_MACHINE]
    ours = polled(*families, paths=paths, **_ALL).series
    differ, count = {}, 0
    for series, value, found in compared(ours, theirs):
        if series.key.startswith((_LOAD, "tcp_states_")):  # of this machine
            continue
        count += 1
        if not any(math.isclose(value, each, rel_tol=_ROUNDING) for each in found):
            differ[f"{series.key} {device_of(series)}".strip()] = (value, found)
    known = DIFFERENT.get(name, {})
    assert {which: values for which, values in differ.items() if which not in known} == {}
    assert set(known) == set(differ), "a difference is no longer one"
    assert count >= _LEAST[name], count


def test_values_of_this_machine_lie_between_two_answers() -> None:
    """Counters never leave the range of two answers of node_exporter; each other figure is in it at times."""
    processor.prime()
    unseen: dict[str, str] = {}
    seen: set[str] = set()
    with node_exporter.running() as ask:
        for _ in range(_ROUNDS):
            before = ask()
            ours = polled(*(f for f in EVERY if f != "agent"), **_ALL).series
            after = ask()
            first = {series: found for series, _, found in compared(ours, before)}
            for series, value, found in compared(ours, after):
                which = f"{series.key} {device_of(series)}".strip()
                if series not in first or which in DIFFERENT["here"]:
                    continue
                low, high = min(first[series] + found), max(first[series] + found)
                slack = _slack(series, high)
                is_between = low - slack <= value <= high + slack
                if is_between:
                    seen.add(which)
                    unseen.pop(which, None)
                elif which not in seen:
                    unseen[which] = f"{value} is not in {low} to {high}"
                assert is_between or not _only_grows(series), (which, low, value, high)
            if not unseen:
                break
    assert unseen == {}
    assert len(seen) > 200


def _slack(series: Series, high: float) -> float:
    """Return how far a value may be out of the range of two answers, because of rounding."""
    if series.key.startswith(_LOAD):
        return _LOAD_DIGIT
    processors = psutil.cpu_count() or 1
    return _TICK_S * processors if "_times_" in series.key else _ROUNDING * high


def _only_grows(series: Series) -> bool:
    """Whether it is a counter. The kernel's idle times sometimes fall, which node_exporter hides."""
    return series.data_type == COUNTER64 and not series.key.endswith(("_idle", "_iowait"))

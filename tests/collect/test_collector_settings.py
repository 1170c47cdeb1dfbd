"""Each setting of the collector, unlike its default: at a start and at a reload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.poller import Groups
from pattoo_mp.config.values import Config
from tests.support.configs import config_in
from tests.support.hosts import HOSTS
from tests.support.plugins import command_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOUNTS = "/dev/vda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"
FILESYSTEMS = "nodev\ttmpfs\n\text4\n"
NETWORK = "Inter-|   Receive  |  Transmit\n face |bytes\n" + "".join(
    f"{name}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n" for name in ("lo", "eth0")
)
DISKS = "".join(
    f"{number} 0 {name} 1 2 3 4 5 6 7 8 9 10 11\n" for number, name in ((8, "sda"), (7, "loop0"))
)

#: What one poll of every group has: how many series by interval and key.
Seen = Counter[tuple[int, str]]


@pytest.fixture
def small_host(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with two mounts, two interfaces, two disks, sensors, and a text file of figures."""
    files = {
        "self/mounts": MOUNTS, "filesystems": FILESYSTEMS, "net/dev": NETWORK, "diskstats": DISKS,
        "textfile/a.prom": "backup_age_seconds 7\n",
    }  # fmt: skip
    for name, content in files.items():
        path = home / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(home / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", HOSTS / "laptop" / "sys")
    return home


def seen(groups: Groups) -> Seen:
    """Poll every group once."""
    found: Seen = Counter()
    for interval_ms in groups.intervals_ms:
        layout, _ = groups.poll(interval_ms, interval_ms)
        for series in layout.series:
            found[interval_ms, series.key] += 1
    return found


def number(found: Seen, part: str) -> int:
    """How many series have this in their key."""
    return sum(count for (_, key), count in found.items() if part in key)


@dataclass(frozen=True)
class Case:
    """A setting with another value: whether a poll shows its effect."""

    after: Any
    shows: Callable[[Seen], bool]
    before: dict[str, Any] = field(default_factory=dict)


def _none(part: str) -> Callable[[Seen], bool]:
    return lambda found: number(found, part) == 0


def _has(part: str) -> Callable[[Seen], bool]:
    return lambda found: number(found, part) > 0


_SENSORS = {"families": ("temperatures",)}

CASES: dict[str, Case] = {
    "interval_ms": Case(200, lambda found: {ms for ms, _ in found} == {200}),
    "intervals": Case(
        {"network": 700},
        lambda found: "network" in {k.split("_")[0] for ms, k in found if ms == 700},
    ),
    "families": Case(("temperatures",), _has("temperature")),
    "families_off": Case(("disk_io",), _none("disk_io")),
    "mounts_include": Case(("/nowhere",), _none("disk_partition")),
    "mounts_exclude": Case(("/",), _none("disk_partition")),
    "filesystems_include": Case(("xfs",), _none("disk_partition")),
    "filesystems_exclude": Case(("ext*",), _none("disk_partition")),
    "filesystems_without_device": Case(
        ("tmpfs",), lambda found: number(found, "disk_partition_disk_usage_used") == 2
    ),
    "disks_include": Case(("nvme*",), _none("disk_io")),
    "disks_exclude": Case(("sda",), lambda found: number(found, "disk_io_read_bytes") == 1),
    "interfaces_include": Case(("lo",), lambda found: number(found, "network_io_bytes_sent") == 1),
    "interfaces_exclude": Case(
        ("eth*",), lambda found: number(found, "network_io_bytes_sent") == 1
    ),
    "temperatures_include": Case(("nothing",), _none("temperature"), _SENSORS),
    "temperatures_exclude": Case(("*",), _none("temperature"), _SENSORS),
    "textfile_directory": Case(
        "proc/textfile", _has("backup_age_seconds"), {"families": ("textfile",)}
    ),
    "commands": Case(
        (command_of("/bin/true"),), _has("command_exit_status"), {"families": ("commands",)}
    ),
    "top_processes": Case(
        1, lambda found: number(found, "top_processes_count") == 1, {"families": ("top_processes",)}
    ),
}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """What runs commands ends soon after it is told to."""
    before = set(psutil.Process().children())
    yield
    wait_for(lambda: set(psutil.Process().children()) <= before, what="the end of its processes")


def configs(name: str, home: Path) -> tuple[Config, Config]:
    """The configuration without the setting, and with it, as a worker receives it."""
    case = CASES[name]
    value = home / case.after if name == "textfile_directory" else case.after
    before = config_in(home, interval_ms=1000, **case.before)
    if name == "disks_exclude":
        before = replace(before, disks_exclude=())
    after = replace(before, **{name: value})
    return before, Config.of(after.fields())


@pytest.mark.parametrize("name", CASES)
def test_a_setting_takes_effect_at_a_start(
    small_host: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first poll is made with it."""
    if name == "top_processes":
        monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc", raising=False)
    before, after = configs(name, small_host)
    groups = Groups(ORIGIN, after, {})
    assert CASES[name].shows(seen(groups))
    groups.change(before)  # which ends what runs commands


@pytest.mark.parametrize("name", CASES)
def test_a_setting_takes_effect_at_a_reload(
    small_host: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The polls before it were made without it, and the next one is made with it."""
    if name == "top_processes":
        monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc", raising=False)
    before, after = configs(name, small_host)
    groups = Groups(ORIGIN, before, {})
    assert not CASES[name].shows(seen(groups))
    groups.change(after)
    assert CASES[name].shows(seen(groups))
    groups.change(before)
    assert not CASES[name].shows(seen(groups))

"""Figures that cannot be right: they are left out with the reason, and what is beside them is not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.host import HostPaths
from tests.support.hosts import HOSTS, Polled, polled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that host, which the families read."""
    shutil.copytree(HOSTS / "server", tmp_path / "server", symlinks=True)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "server" / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", tmp_path / "server" / "sys")
    return tmp_path / "server"


def of(server: Path, family: str) -> Polled:
    """Poll a family of the host."""
    return polled(family, paths=HostPaths(server / "proc", server / "sys", server))


TOO_MUCH = "9" * 30
#: A family, a file, what it says, and the notes that begin so.
CASES = [
    ("file_handles", "proc/sys/fs/file-nr", "1 0 -5", "file_handles"),
    ("file_handles", "proc/sys/fs/file-nr", f"1 0 {TOO_MUCH}", "file_handles"),
    ("link_changes", "sys/class/net/eth0/carrier_changes", "-2", "link_changes eth0"),
    ("link_changes", "sys/class/net/eth0/carrier_changes", TOO_MUCH, "link_changes eth0"),
    ("network_links", "sys/class/net/eth0/mtu", "-1500", "network_links eth0"),
    ("network_links", "sys/class/net/eth0/mtu", TOO_MUCH, "network_links eth0"),
    ("network_links", "sys/class/net/eth0/flags", "", "network_links eth0"),
    ("network_links", "sys/class/net/eth0/operstate", "", "network_links eth0 up"),
    ("network_links", "sys/class/net/eth0/operstate", "x", "network_links eth0 up"),
    ("conntrack", "proc/sys/net/netfilter/nf_conntrack_max", "-1", "conntrack"),
]


@pytest.mark.parametrize(("family", "file", "text", "note"), CASES)
def test_it_is_left_out_alone(server: Path, family: str, file: str, text: str, note: str) -> None:
    """Nothing else is changed, nothing is added, and the note says why."""
    before = of(server, family)
    (server / file).write_text(f"{text}\n")
    after = of(server, family)
    assert after.series.items() < before.series.items()
    gone = before.series.keys() - after.series.keys()
    assert set(after.left_out) - set(before.left_out) == {note}
    words = note.split(" ")
    assert all("eth0" in dict(series.metadata).values() for series in gone if "eth0" in words)
    assert {series.key for series in gone} == {"network_link_up"} or words[-1] != "up"


@pytest.mark.parametrize("bad", ["-0000002", "0x000002", "zz", "123456789"])
def test_a_damaged_line_of_softnet_costs_its_processor_alone(server: Path, bad: str) -> None:
    """The kernel writes up to eight hexadecimal digits."""
    path = server / "proc" / "net" / "softnet_stat"
    first, second = path.read_text().splitlines()
    before = of(server, "softnet").by("softnet_processor")
    path.write_text(f"{first.replace('00000000', bad, 1)}\n{second}\n")
    after = of(server, "softnet")
    assert after.by("softnet_processor") == {"2": before["2"]}
    assert list(after.left_out) == ["softnet 0"]


def test_a_counter_that_the_kernel_does_not_have_is_noted(server: Path) -> None:
    """Linux before 2.6.31 did not count software interrupts."""
    path = server / "proc" / "stat"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("softirq")))
    poll = of(server, "processor")
    assert (
        poll.left_out["processor.counters soft_interrupts"] == "/proc/stat has no number of softirq"
    )
    assert poll.figures["cpu_stats_ctx_switches"] == 7654321
    assert "cpu_stats_soft_interrupts" not in poll.figures


def test_disks_of_the_agents_own_sys_are_never_taken_for_those_of_the_host(server: Path) -> None:
    """It is there that psutil looks for them if the host's /proc has no `diskstats`."""
    (server / "proc" / "diskstats").unlink()
    poll = of(server, "disk_io")
    assert poll.series == {}
    assert "No such file" in poll.left_out["disk_io"]

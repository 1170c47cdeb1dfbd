"""Figures that cannot be right: they are left out with the reason, and what is beside them is not."""

from __future__ import annotations

import re
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


def of_two_polls(server: Path, bad: str) -> Polled:
    """Poll the processor, let its second time in /proc/stat become this, and poll again."""
    of(server, "processor")
    path = server / "proc" / "stat"
    first, rest = path.read_text().split("\n", 1)
    name, user, _, *others = first.split()
    path.write_text(" ".join([name, user, bad, *others]) + f"\n{rest}")
    return of(server, "processor")


@pytest.mark.parametrize("bad", ["-5", "nan", "inf", TOO_MUCH])
def test_an_impossible_time_of_the_processor_is_left_out(server: Path, bad: str) -> None:
    """With all shares, which are parts of a whole that is not known; other times are sent."""
    before = of(server, "processor")
    after = of_two_polls(server, bad)
    gone = {series.key for series in before.series.keys() - after.series.keys()}
    assert gone == {"cpu_times_nice"} | {key for key in before.figures if "percent" in key}
    assert set(after.left_out) - set(before.left_out) == {
        "processor.times nice",
        "processor.shares",
    }
    assert f"the time of nice is not known: {bad[:40]!r}" in after.left_out["processor.shares"]


def test_an_impossible_number_of_threads_leaves_its_process_out(server: Path) -> None:
    """The figures of the others are sent, with a note."""
    before = of(server, "process_states").figures
    path = min((server / "proc").glob("[0-9]*/stat"))
    number, _, fields = path.read_text().rpartition(")")
    parts = fields.split()
    threads, parts[17] = int(parts[17]), "-7"
    path.write_text(f"{number}) {' '.join(parts)}\n")
    poll = of(server, "process_states")
    assert (
        poll.figures["process_states_threads"] == (before["process_states_threads"] or 0) - threads
    )
    assert list(poll.left_out) == ["process_states unreadable processes"]


def test_one_processor_is_not_taken_for_all(server: Path) -> None:
    """Where /proc/stat lacks the line of all, its first line is that of processor 0."""
    path = server / "proc" / "stat"
    path.write_text(path.read_text().partition("\n")[2])
    poll = of(server, "processor")
    assert not [key for key in poll.figures if key.startswith("cpu_times")]
    assert {"processor.times", "processor.shares"} <= poll.left_out.keys()


@pytest.mark.parametrize("load", ["nan 1.00 1.00", "inf 1.00 1.00", "1.00 -1.00 1.00", "1.00", ""])
@pytest.mark.parametrize("family", ["system", "load_per_processor"])
def test_an_impossible_load_is_left_out(server: Path, family: str, load: str) -> None:
    """With a reason that names the file."""
    (server / "proc" / "loadavg").write_text(f"{load} 1/100 4711\n")
    poll = of(server, family)
    assert not [key for key in poll.figures if key.startswith("load_")]
    assert any("/proc/loadavg does not begin" in why for why in poll.left_out.values())


@pytest.mark.parametrize("bad", ["-3", TOO_MUCH, "x"])
def test_an_impossible_number_of_processes_is_noted(server: Path, bad: str) -> None:
    """And those beside it are sent."""
    path = server / "proc" / "stat"
    path.write_text(re.sub("procs_blocked .*", f"procs_blocked {bad}", path.read_text()))
    poll = of(server, "process_events")
    assert set(poll.figures) == {"process_events_forks", "process_events_running"}
    assert list(poll.left_out) == ["process_events blocked"]


@pytest.mark.parametrize(
    ("family", "file", "line", "note"),
    [("paging", "proc/vmstat", "pgfault", "paging pgfault"),
     ("paging", "proc/vmstat", "allocstall_normal", "paging allocstall"),
     ("ip", "proc/net/snmp6", "Ip6InReceives", "")],
)  # fmt: skip
def test_a_line_without_a_number_is_noted(
    server: Path, family: str, file: str, line: str, note: str
) -> None:
    """One zone less would be a sum that is too low."""
    before = of(server, family)
    path = server / file
    text = re.sub(rf"^{line}(\s+)\d+$", rf"{line}\g<1>-3", path.read_text(), flags=re.MULTILINE)
    assert text != path.read_text()
    path.write_text(text)
    after = of(server, family)
    assert len(after.series) == len(before.series) - 1
    assert after.series.items() < before.series.items()
    (new,) = set(after.left_out) - set(before.left_out)
    assert new.startswith(note)
    assert after.left_out[new] == "'-3' is not a number that the kernel counts to"


def test_the_name_of_a_disk_is_as_it_is(server: Path) -> None:
    """Python's `split()` cuts at more characters than the kernel's blanks."""
    path = server / "proc" / "diskstats"
    before = of(server, "disk_io").by("disk_partition")
    path.write_text(path.read_text().replace(" sda ", " md_a\x85b\x1cc "))
    after = of(server, "disk_io").by("disk_partition")
    assert after.keys() == before.keys() - {"sda"} | {"md_a\x85b\x1cc"}
    assert after["md_a\x85b\x1cc"] == before["sda"]


def test_an_empty_file_of_pressure_has_a_clear_reason(server: Path) -> None:
    """Not the words of an unpacking that failed."""
    (server / "proc" / "pressure" / "memory").write_text("")
    why = of(server, "pressure").left_out["pressure.memory"]
    assert why == "the kernel's file has none of these figures"

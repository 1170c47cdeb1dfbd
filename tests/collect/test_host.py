"""A host whose /proc, /sys and root are at other paths."""

from __future__ import annotations

import io
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host
from pattoo_mp.collect.families import network, network_links
from pattoo_mp.collect.families.network import Traffic
from pattoo_mp.collect.families.network_links import row
from pattoo_mp.collect.host import OWN, HostPaths
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY
from pattoo_mp.doctor.polls import DEFAULT_CONFIG
from tests.collect.families.test_further import CONTENT, files
from tests.support.hosts import HOSTS, be, polled
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of
from tests.support.waiting import wait_for
from tests.wire.posts import ORIGIN


@pytest.fixture(autouse=True)
def unchanged_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the paths after each test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)
    monkeypatch.setattr(host, "SYS", host.SYS)
    monkeypatch.setattr(host, "NET", host.NET)


def test_the_default_paths_are_the_agents_own() -> None:
    """Adopting them changes nothing."""
    paths = HostPaths.of(DEFAULT_CONFIG)
    assert paths == OWN
    assert not paths.are_elsewhere
    paths.adopt()
    assert ("/proc", Path("/sys"), "net") == (psutil.PROCFS_PATH, host.SYS, host.NET)


def test_psutil_and_the_host_module_adopt_other_paths(tmp_path: Path) -> None:
    """Files of the network are those of the first process."""
    HostPaths(tmp_path / "proc", tmp_path / "sys", tmp_path).adopt()
    assert f"{tmp_path}/proc" == psutil.PROCFS_PATH
    assert tmp_path / "sys" == host.SYS
    (tmp_path / "proc" / "1" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "net" / "snmp").write_text("of the host")
    assert host.net("snmp") == "of the host"


def test_traffic_is_read_as_psutil_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same names and figures in the same order, so the series are the same."""
    procfs = ProcFS(tmp_path, monkeypatch)
    procfs.interfaces("lo", "eth0", "eth0:1")
    theirs = psutil.net_io_counters(pernic=True, nowrap=False)
    ours = network.parse(host.net("dev"))
    assert ours == {name: tuple(counters) for name, counters in theirs.items()}
    assert Traffic._fields == theirs["lo"]._fields


def test_links_are_read_as_psutil_reads_them(tmp_path: Path) -> None:
    """For this host's own interfaces."""
    (tmp_path / "sys").symlink_to("/sys")
    theirs = {name: row(stats) for name, stats in psutil.net_if_stats().items()}
    assert network_links.links(HostPaths(sysfs=tmp_path / "sys")) == theirs


def test_links_of_a_container_are_not_taken_for_the_hosts(tmp_path: Path) -> None:
    """Without the host's /sys they are left out."""
    answer = polled("network_links", paths=HostPaths(tmp_path))
    assert answer.series == {}
    assert "sysfs_path is not set" in answer.left_out["network_links"]


def test_the_cgroup_is_the_agents_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the container uses. The host's paths do not show it."""
    own = polled("cgroup")
    be("laptop", monkeypatch)
    host = HOSTS / "laptop"
    assert polled("cgroup", paths=HostPaths(host / "proc", host / "sys", host)).figures.keys() == (
        own.figures.keys()
    )


@pytest.mark.parametrize("name", ["network", "sockets", "protocols"])
def test_a_network_that_cannot_be_read_is_left_out(name: str, tmp_path: Path) -> None:
    """The agent's own network is not used instead."""
    paths = HostPaths(tmp_path)
    paths.adopt()
    answer = polled(name, paths=paths)
    assert answer.series == {}
    assert f"{tmp_path}/1/net/" in "".join(answer.left_out.values())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=st.lists(CONTENT, min_size=1, max_size=8))
def test_no_content_of_the_hosts_files_ends_a_poll(contents: list[bytes], tmp_path: Path) -> None:
    """At worst, families are left out."""
    of_the_host = [
        "proc/1/mounts", "proc/self/mounts", "proc/filesystems", "proc/1/net/dev",
        "proc/1/net/snmp", "proc/stat", "proc/meminfo", "sys/class/net/eth0/mtu",
        "sys/class/net/eth0/flags", "sys/class/net/eth0/speed",
    ]  # fmt: skip
    for number, name in enumerate([*of_the_host, *files()]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
    paths = HostPaths(tmp_path / "proc", tmp_path / "sys", tmp_path)
    paths.adopt()
    layout, poll = Poller(sources_of(*EVERY, paths=paths), ORIGIN, 1000).poll(1000)
    assert len(poll.values()) == len(layout.series)


# The kernel's files that stay open.


def opened(path: str) -> int:
    """How many descriptors of this process are of a file."""
    names = (entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists())
    return sum(str(name) == path for name in names)


def test_a_file_of_the_kernel_stays_open_and_gives_the_figures_of_now() -> None:
    """Read from its beginning, it is made anew."""
    first = float(host.proc("uptime").split()[0])
    wait_for(lambda: float(host.proc("uptime").split()[0]) > first, what="the next figure")
    assert opened("/proc/uptime") == 1


def test_a_long_file_is_read_to_its_end() -> None:
    """The kernel gives it in parts, each shorter than what was asked for."""
    assert host.proc("zoneinfo").count("\n") == Path("/proc/zoneinfo").read_text().count("\n")


def test_a_file_of_a_process_is_closed() -> None:
    """There may be thousands."""
    name = f"{os.getpid()}/stat"
    assert host.proc(name).startswith(f"{os.getpid()} ")
    assert opened(f"/proc/{name}") == 0


def test_what_is_no_file_of_the_kernel_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may take its place; or it would keep a file system from being unmounted."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    for content in ("one", "two", ""):
        beside = tmp_path / "beside"
        beside.write_text(content)
        beside.replace(tmp_path / "meminfo")
        assert host.proc("meminfo") == content
    assert opened(str(tmp_path / "meminfo")) == 0


def test_a_file_whose_object_is_gone_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as an interface, which may come back under the same name."""
    with subprocess.Popen(["true"]) as ended:
        gone = io.FileIO(f"/proc/{ended.pid}/stat")
    with pytest.raises(ProcessLookupError):
        os.pread(gone.fileno(), 10, 0)
    monkeypatch.setitem(host._kept, "/proc/uptime", gone)
    assert float(host.proc("uptime").split()[0]) > 0
    gone.close()
    assert float(host.proc("uptime").split()[0]) > 0


def test_sources_of_one_poll_share_what_was_read() -> None:
    """Each file is read once in a poll; another thread, or the next poll, reads it anew."""
    with host.one_moment():
        first = host.proc("uptime")
        wait_for(lambda: Path("/proc/uptime").read_text() != first, what="the next figure")
        assert host.proc("uptime") is first
        with ThreadPoolExecutor(1) as other:
            assert other.submit(host.proc, "uptime").result() != first
        with pytest.raises(FileNotFoundError):
            host.proc("there_is_no_such_file")
    assert host.proc("uptime") != first

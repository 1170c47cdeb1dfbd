"""A host that is seen elsewhere than at /proc, /sys and /."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattoo_mp.collect import host
from pattoo_mp.collect.families import network, network_links
from pattoo_mp.collect.families.network_links import row
from pattoo_mp.collect.host import OWN, HostPaths
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import EVERY
from pattoo_mp.doctor.polls import DEFAULT_CONFIG
from tests.collect.families.test_further import CONTENT, files
from tests.support.hosts import HOSTS, be, polled
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN


@pytest.fixture(autouse=True)
def where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards all is where it was."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)
    monkeypatch.setattr(host, "SYS", host.SYS)
    monkeypatch.setattr(host, "NET", host.NET)


def test_by_default_they_are_the_agents_own() -> None:
    """And nothing is led anywhere."""
    paths = HostPaths.of(DEFAULT_CONFIG)
    assert paths == OWN
    assert not paths.are_elsewhere
    paths.adopt()
    assert ("/proc", Path("/sys"), "net") == (psutil.PROCFS_PATH, host.SYS, host.NET)


def test_what_is_elsewhere_is_where_all_look(tmp_path: Path) -> None:
    """psutil, and what reads beside it; of the network those files that are the first process's."""
    HostPaths(tmp_path / "proc", tmp_path / "sys", tmp_path).adopt()
    assert f"{tmp_path}/proc" == psutil.PROCFS_PATH
    assert tmp_path / "sys" == host.SYS
    (tmp_path / "proc" / "1" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "net" / "snmp").write_text("of the host")
    assert host.net("snmp") == "of the host"


def test_traffic_is_read_as_psutil_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same names, the same figures, in the same order: so the series are the same."""
    procfs = ProcFS(tmp_path, monkeypatch)
    procfs.interfaces("lo", "eth0", "eth0:1")
    theirs = psutil.net_io_counters(pernic=True, nowrap=False)
    ours = network.parse(host.net("dev"))
    assert {name: tuple(counters) for name, counters in ours.items()} == {
        name: tuple(counters) for name, counters in theirs.items()
    }
    assert ours["lo"]._fields == theirs["lo"]._fields


def test_links_are_told_as_psutil_tells_them(tmp_path: Path) -> None:
    """Of this host's own interfaces."""
    (tmp_path / "sys").symlink_to("/sys")
    theirs = {name: row(stats) for name, stats in psutil.net_if_stats().items()}
    assert network_links.links(HostPaths(sysfs=tmp_path / "sys")) == theirs


def test_links_of_a_container_are_not_taken_for_the_hosts(tmp_path: Path) -> None:
    """Without the host's /sys there is nobody to ask."""
    told = polled("network_links", paths=HostPaths(tmp_path))
    assert told.series == {}
    assert "sysfs_path is not set" in told.left_out["network_links"]


def test_the_cgroup_is_the_agents_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the container takes; where the host is seen there is none of it."""
    own = polled("cgroup")
    be("laptop", monkeypatch)
    host = HOSTS / "laptop"
    assert polled("cgroup", paths=HostPaths(host / "proc", host / "sys", host)).figures.keys() == (
        own.figures.keys()
    )


@pytest.mark.parametrize("name", ["network", "sockets", "protocols"])
def test_a_network_that_cannot_be_read_is_left_out(name: str, tmp_path: Path) -> None:
    """The agent's own is not taken for it."""
    paths = HostPaths(tmp_path)
    paths.adopt()
    told = polled(name, paths=paths)
    assert told.series == {}
    assert f"{tmp_path}/1/net/" in "".join(told.left_out.values())


def test_the_traffic_that_is_asked_for_is_the_hosts() -> None:
    """That of psutil without paths, for it hides the wraps of counters."""
    assert network.counters(OWN)().keys() == psutil.net_io_counters(pernic=True).keys()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=st.lists(CONTENT, min_size=1, max_size=8))
def test_no_content_of_the_hosts_files_ends_a_poll(contents: list[bytes], tmp_path: Path) -> None:
    """Whatever stands there, families are left out, and no more."""
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

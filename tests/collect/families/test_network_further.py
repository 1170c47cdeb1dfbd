"""The network's further families: IP, TCP states, connection tracking, softnet, carriers, bonding."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import host
from pattoo_mp.collect.families import bonding, conntrack, softnet, tcp_states
from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.host import HostPaths
from pattoo_mp.model import COUNTER64
from tests.support.hosts import HOSTS, be, polled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the host `server`, whose files a test may change. The families read it."""
    root = tmp_path / "server"
    shutil.copytree(HOSTS / "server", root)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(root / "proc"), raising=False)
    monkeypatch.setattr(host, "SYS", root / "sys")
    return root


# IP


def test_each_figure_of_ip_is_one_of_the_kernels_file(server: Path) -> None:
    """By its name, in both versions."""
    poll = polled("ip")
    assert poll.left_out == {}
    assert len(poll.figures) == 18 + 28
    assert {series.data_type for series in poll.series} == {COUNTER64}
    kernels = host.numbers((server / "proc" / "net" / "snmp6").read_text())
    assert poll.figures["ip6_packets_in"] == kernels["Ip6InReceives"] == 157
    assert poll.figures["ip6_icmp_messages_out"] == kernels["Icmp6OutMsgs"] == 9
    assert poll.figures["ip6_udp_no_port"] == kernels["Udp6NoPorts"] == 6
    columns, figures = re.findall(
        r"^Ip: (.*)$", (server / "proc/net/snmp").read_text(), re.MULTILINE
    )
    ipv4 = dict(zip(columns.split(), map(int, figures.split()), strict=True))
    assert poll.figures["ip4_packets_in"] == ipv4["InReceives"]
    assert poll.figures["ip4_packets_forwarded"] == ipv4["ForwDatagrams"]


def test_a_host_without_ipv6_sends_the_figures_of_ipv4(server: Path) -> None:
    """The other source is left out."""
    (server / "proc" / "net" / "snmp6").unlink()
    poll = polled("ip")
    assert list(poll.left_out) == ["ip.ipv6"]
    assert len(poll.figures) == 18


# TCP connections by state


def test_connections_of_both_versions_are_counted_by_state(server: Path) -> None:
    """0 included."""
    del server
    figures = polled("tcp_states").figures
    assert {key: value for key, value in figures.items() if value} == {
        "tcp_states_established": 3, "tcp_states_syn_sent": 1, "tcp_states_time_wait": 1,
        "tcp_states_close_wait": 1, "tcp_states_listen": 2,
    }  # fmt: skip
    assert len(figures) == 11


def test_the_connections_of_this_host_are_those_of_psutil() -> None:
    """A port that listens is among them."""
    figures = polled("tcp_states").figures
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert figures["tcp_states_listen"] == pytest.approx(len(listening), abs=20)


def test_a_kernel_without_ipv6_has_the_connections_of_ipv4(server: Path) -> None:
    """It has no other ones."""
    (server / "proc" / "net" / "tcp6").unlink()
    assert polled("tcp_states").figures["tcp_states_established"] == 2


@pytest.mark.parametrize("name", ["tcp", "tcp6"])
def test_a_damaged_line_leaves_the_states_out(server: Path, name: str) -> None:
    """A count without it would be wrong. An empty file has not even its heading."""
    path = server / "proc" / "net" / name
    for content in (path.read_text() + "x\n", ""):
        path.write_text(content)
        poll = polled("tcp_states")
        assert (poll.series, list(poll.left_out)) == ({}, ["tcp_states"])


def test_an_unknown_state_is_refused() -> None:
    """The kernel may get more of them."""
    line = b"   1: 0100007F:0016 00000000:0000 0D 00000000:00000000 00:00000000"
    with pytest.raises(ValueError, match="damaged"):
        tcp_states.count_states([line])


# Connection tracking


def test_tracked_connections_come_with_their_limit(server: Path) -> None:
    """Of the agent's own network, and of the host's, whose network is that of process 1."""
    expected = {"conntrack_entries": 31, "conntrack_limit": 262_144}
    assert polled("conntrack").figures == expected
    (server / "proc" / "sys/net/netfilter/nf_conntrack_count").write_text("7\n")
    paths = HostPaths(server / "proc", server / "sys", server)
    assert polled("conntrack", paths=paths).figures == expected


def test_a_host_without_connection_tracking_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module is not loaded."""
    be("container", monkeypatch)
    assert list(polled("conntrack").left_out) == ["conntrack"]


@pytest.mark.parametrize("text", ["", "entries\n", "entries\nx\n"])
def test_damaged_entries_are_refused(text: str) -> None:
    """The poller will leave the family out, with the reason."""
    with pytest.raises(ValueError, match=r"unpack|invalid"):
        conntrack.parse_entries(text)


# Softnet


def test_each_processor_has_its_number(server: Path) -> None:
    """With processor 1 offline the second line is that of processor 2, also in an older kernel."""
    expected = {
        "0": {"softnet_processed": 0x1601C, "softnet_dropped": 0, "softnet_squeezed": 3},
        "2": {"softnet_processed": 0x170B2, "softnet_dropped": 5, "softnet_squeezed": 0},
    }
    assert polled("softnet").by("softnet_processor") == expected
    path = server / "proc" / "net" / "softnet_stat"
    path.write_text("".join(f"{line[:98]}\n" for line in path.read_text().split("\n") if line))
    assert polled("softnet").by("softnet_processor") == expected


def test_a_line_too_many_is_refused() -> None:
    """Nobody could say which processor is which."""
    with pytest.raises(ValueError, match="zip"):
        softnet.parse("00 00 00\n00 00 00\n", lambda: ["0"])


def test_a_processor_with_a_damaged_line_costs_no_other(server: Path) -> None:
    """It is noted."""
    path = server / "proc" / "net" / "softnet_stat"
    good = polled("softnet").by("softnet_processor")
    path.write_text(path.read_text().replace("0001601c", "0001x01c"))
    poll = polled("softnet")
    assert poll.by("softnet_processor") == {"2": good["2"]}
    assert list(poll.left_out) == ["softnet 0"]


# Carriers


def test_carrier_changes_are_counted_for_each_interface(server: Path) -> None:
    """The file `bonding_masters` is no interface; one with an empty file costs no other."""
    interfaces = server / "sys" / "class" / "net"
    expected = {"bond0": 5, "eth0": 3, "eth1": 7, "lo": 0}
    for name in ("eth0", "none"):
        found = polled("link_changes").by("link_changes_interface")
        assert {n: row["link_changes_carrier"] for n, row in found.items()} == expected
        (interfaces / name / "carrier_changes").write_text("") if name == "eth0" else None
        expected.pop(name, None)
    assert list(polled("link_changes").left_out) == ["link_changes eth0"]
    filtered = polled("link_changes", interfaces=Filter(("lo",), ()))
    assert list(filtered.by("link_changes_interface")) == ["lo"]


def test_the_carriers_of_a_container_are_not_taken_for_the_hosts(tmp_path: Path) -> None:
    """Without the host's /sys they are left out."""
    poll = polled("link_changes", paths=HostPaths(tmp_path))
    assert "sysfs_path is not set" in poll.left_out["link_changes"]


# Bonding


def test_a_degraded_bond_shows_it(server: Path) -> None:
    """One of its two members has no link."""
    del server
    assert polled("bonding").by("bonding_interface") == {
        "bond0": {
            "bonding_up": 1, "bonding_members": 2, "bonding_members_up": 1,
            "bonding_link_failures": 4,
        }
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "MII Status: up\n\nSlave Interface: eth0\n", "x" * 99])
def test_a_bond_with_a_damaged_file_costs_no_other(server: Path, content: str) -> None:
    """It is noted."""
    good = polled("bonding").by("bonding_interface")
    (server / "proc" / "net" / "bonding" / "bond1").write_text(content)
    poll = polled("bonding")
    assert poll.by("bonding_interface") == good
    assert list(poll.left_out) == ["bonding bond1"]


def test_a_bond_without_members_is_down() -> None:
    """It has none to lose."""
    assert bonding.parse("MII Status: down\n") == {
        "up": 0, "members": 0, "members_up": 0, "link_failures": 0
    }  # fmt: skip


def test_a_host_without_bonds_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is not loaded."""
    be("laptop", monkeypatch)
    assert "no bonded interface" in polled("bonding").left_out["bonding"]

"""Network links, of this host and of simulated ones."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

import psutil

from pattoo_mp.collect.filters import Filter
from tests.support.hosts import polled

if TYPE_CHECKING:
    import pytest

Stats = namedtuple("Stats", "isup duplex speed mtu flags")
FULL, HALF, UNKNOWN = psutil.NIC_DUPLEX_FULL, psutil.NIC_DUPLEX_HALF, psutil.NIC_DUPLEX_UNKNOWN
#: psutil's answer for each interface, and the figures that are sent: up, speed, full duplex, MTU.
LINKS = {
    "eth0": (Stats(True, FULL, 10_000, 9000, "up"), (1, 10_000, 1, 9000)),
    "eth1": (Stats(False, HALF, 100, 1500, ""), (0, 100, 0, 1500)),
    "veth7a": (Stats(True, UNKNOWN, 0, 1400, "up"), (1, None, None, 1400)),
}


def test_each_interface_reports_its_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a driver does not report has a series, but no value."""
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {n: s for n, (s, _) in LINKS.items()})
    names = ("up", "speed", "full_duplex", "mtu")
    assert polled("network_links").by("network_link_interface") == {
        interface: dict(zip((f"network_link_{name}" for name in names), values, strict=True))
        for interface, (_, values) in LINKS.items()
    }


def test_filtered_interfaces_are_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter is the one that the family `network` uses."""
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {n: s for n, (s, _) in LINKS.items()})
    poll = polled("network_links", interfaces=Filter(("*",), ("veth*",)))
    assert list(poll.by("network_link_interface")) == ["eth0", "eth1"]


def test_this_host_reports_its_loopback_device() -> None:
    """Whether it is up, and its MTU."""
    figures = polled("network_links").by("network_link_interface")["lo"]
    assert figures["network_link_up"] in {0, 1}
    assert (figures["network_link_mtu"] or 0) > 1000

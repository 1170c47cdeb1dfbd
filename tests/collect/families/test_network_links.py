"""Network links, of this host and of simulated ones."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect.filters import Filter
from pattoo_mp.collect.host import HostPaths
from tests.support.hosts import polled

if TYPE_CHECKING:
    from pathlib import Path

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


def interface(sys: Path, name: str, **files: str) -> None:
    """Write the files of an interface below a simulated /sys."""
    link = sys / "class" / "net" / name
    link.mkdir(parents=True)
    files = {"mtu": "1500\n", "flags": "0x1003\n", "operstate": "up\n", "speed": "1000\n",
             "duplex": "full\n", **files}  # fmt: skip
    for file, content in files.items():
        (link / file).write_text(content)


@pytest.mark.parametrize("damaged", [{"mtu": ""}, {"mtu": "x"}, {"flags": "x"}])
def test_an_interface_that_goes_away_costs_no_other(
    damaged: dict[str, str], tmp_path: Path
) -> None:
    """Its files read empty for a moment, as those of a veth whose container ends."""
    paths = HostPaths(sysfs=tmp_path)
    interface(tmp_path, "eth0")
    good = polled("network_links", paths=paths).by("network_link_interface")
    interface(tmp_path, "veth1", **damaged)
    poll = polled("network_links", paths=paths)
    assert poll.by("network_link_interface") == good
    assert list(poll.left_out) == ["network_links veth1"]


@pytest.mark.parametrize("speed", ["", "-1\n", "0\n", "9" * 5000, "x"])
def test_a_speed_that_is_not_known_costs_nothing_else(speed: str, tmp_path: Path) -> None:
    """It has a series without a value."""
    interface(tmp_path, "eth0", speed=speed)
    figures = polled("network_links", paths=HostPaths(sysfs=tmp_path)).figures
    assert figures["network_link_speed"] is None
    assert figures["network_link_mtu"] == 1500


def test_a_driver_that_fails_costs_no_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Psutil gives none at all then; /sys has the figures of this host, too."""
    good = polled("network_links").by("network_link_interface")

    def fail() -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(psutil, "net_if_stats", fail)
    assert polled("network_links").by("network_link_interface") == good

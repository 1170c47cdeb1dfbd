"""Network links: whether each interface is up, its speed, and its largest packet size.

psutil only reads the agent's own network. The links of the host's network, when the agent runs in a
container, are read from `/sys/class/net`, see Documentation/ABI/testing/sysfs-class-net in the kernel.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.families import network
from pattoo_mp.collect.families._sysfs import within
from pattoo_mp.collect.host import OWN
from pattoo_mp.collect.source import Rows
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

    Row = dict[str, Value | Exception] | Exception

# fmt: off
_LINKS: Final = Table(
    "network_links", "Network links", "network_link_", INTEGER,
    (
        Metric("up", INTEGER, "yes or no", "Link Up",
               "1 if the interface is up and has a carrier, 0 if not."),
        Metric("speed", INTEGER, "megabits per second", "Link Speed",
               "The negotiated speed; not sent if the driver does not report it."),
        Metric("full_duplex", INTEGER, "yes or no", "Link Full Duplex",
               "1 for full duplex, 0 for half duplex; not sent if the driver does not report it."),
        Metric("mtu", INTEGER, "bytes", "Link MTU",
               "The largest packet that the interface sends."),
    ),
    (Label("network_link_interface", "Network Interface (Link)",
           "The interface, such as `eth0`.", prometheus="device"),),
    exported={
        "up": Exported("node_network_up"),
        "speed": Exported("node_network_speed_bytes", scale=125e3),
        "mtu": Exported("node_network_mtu_bytes"),
    },
)
# fmt: on

TABLES: Final = (_LINKS,)

#: From <linux/if.h>.
_IFF_UP: Final = 1
#: In megabits per second.
_SPEED: Final = re.compile("[0-9]{1,10}")
_DUPLEX: Final = {"full": 1, "half": 0}
#: The states of a link (RFC 2863), and whether it has a carrier. Some drivers, such as the loopback's,
#: always say `unknown`.
_HAS_CARRIER: Final = {
    "up": 1, "unknown": 1, "down": 0, "dormant": 0, "testing": 0,
    "lowerlayerdown": 0, "notpresent": 0,
}  # fmt: skip
#: The kernel has 32 bits for it, and uses no more.
_LARGEST_MTU: Final = (1 << 32) - 1


def row(stats: Any) -> dict[str, Value | Exception]:  # noqa: ANN401 - psutil's private tuple type
    """Return the figures of one interface, from psutil; None for what the driver does not report."""
    duplexes = {psutil.NIC_DUPLEX_FULL: 1, psutil.NIC_DUPLEX_HALF: 0}
    return {
        "up": int(stats.isup),
        "speed": stats.speed or None,
        "full_duplex": duplexes.get(stats.duplex),
        "mtu": stats.mtu,
    }


def _read_own() -> dict[str, Row]:
    """Return the figures of each interface of the agent's own network.

    psutil loses all interfaces if the driver of one fails; then `/sys` has the others.
    """
    try:
        return {name: row(stats) for name, stats in psutil.net_if_stats().items()}
    except OSError:
        ours = network.read()
        return {name: row for name, row in _in_sysfs(host.SYS).items() if name in ours}


def links(paths: HostPaths) -> dict[str, Row]:
    """Return the figures of each interface of the host, from its `/sys`, as `row` would.

    An interface that cannot be read has an exception instead. Raises `NotImplementedError` or `OSError`
    if the host's `/sys` cannot be read.
    """
    if paths.sysfs == OWN.sysfs:
        raise NotImplementedError("sysfs_path is not set, and /sys shows the agent's own network")
    return _in_sysfs(paths.sysfs)


def _in_sysfs(sysfs: Path) -> dict[str, Row]:
    every = sorted((sysfs / "class" / "net").iterdir())
    return {path.name: _sysfs_row(path) for path in every if (path / "mtu").exists()}


def _sysfs_row(link: Path) -> Row:
    """Return the figures of one interface. While it is being removed, its files are empty or gone."""
    try:
        return _figures(link)
    except ValueError:
        return ValueError(
            f"{link} has a file that is not a number; the interface may be going away"
        )


def _figures(link: Path) -> dict[str, Value | Exception]:
    speed = _text(link / "speed")
    return {
        "up": _is_up(link),
        # 0 and -1 stand for an unknown speed.
        "speed": int(speed) or None if _SPEED.fullmatch(speed) else None,
        "full_duplex": _DUPLEX.get(_text(link / "duplex")),
        "mtu": int(within(host.count(_text(link / "mtu")), 0, _LARGEST_MTU, "bytes")),
    }


def _is_up(link: Path) -> int | Exception:
    """Return 1 or 0, or why it is not known. Raises `ValueError`."""
    if not int(_text(link / "flags"), 16) & _IFF_UP:
        return 0
    state = _text(link / "operstate")
    known = _HAS_CARRIER.get(state)
    return ValueError(f"{state[:40]!r} is not a state of a link") if known is None else known


def _text(path: Path) -> str:
    """Return a file's text, or "" if there is no such file or the driver refuses (link down)."""
    try:
        return host.text(path).strip()
    except OSError:
        return ""


def sources(plan: Plan) -> tuple[Source, ...]:
    """The links of the interfaces that the filters accept."""
    paths = plan.filters.paths
    read = partial(links, paths) if paths.are_elsewhere else _read_own
    accepts = plan.filters.interfaces.accepts
    return (Rows(_LINKS, read, "the host has no network interface", accepts),)

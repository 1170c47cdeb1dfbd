"""The links of the host's network, from `/sys/class/net`: psutil asks for those of our own alone.

See Documentation/ABI/testing/sysfs-class-net of the kernel.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.host import OWN
from pattoo_mp.collect.source import Limited, Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value


#: From <linux/if.h>.
_IFF_UP: Final = 1
_DUPLEX: Final = {"full": 1, "half": 0}
#: A driver that does not tell is taken to be well; the loopback device is such a one.
_HAS_CARRIER: Final = ("up", "unknown")


def links(paths: HostPaths) -> dict[str, dict[str, Value]]:
    """The figures of each interface; None for what its driver does not tell.

    Raises `NotImplementedError` or `OSError` where there is nothing of the host's.
    """
    if paths.sysfs == OWN.sysfs:
        raise NotImplementedError(
            "sysfs_path is not set, and /sys tells of the agent's own network"
        )
    every = sorted((paths.sysfs / "class" / "net").iterdir())
    return {path.name: _row(path) for path in every if (path / "mtu").exists()}


def _row(link: Path) -> dict[str, Value]:
    flags, speed = _told(link / "flags"), _told(link / "speed")
    is_up = bool(int(flags or "0", 16) & _IFF_UP) and _told(link / "operstate") in _HAS_CARRIER
    return {
        "up": int(is_up),
        # 0 and -1 are said where there is none.
        "speed": int(speed) if speed.isdecimal() and int(speed) else None,
        "full_duplex": _DUPLEX.get(_told(link / "duplex")),
        "mtu": int(_told(link / "mtu")),
    }


def _told(path: Path) -> str:
    """A file's text; nothing where there is none, or the link is down and the driver refuses."""
    try:
        return host.text(path).strip()
    except OSError:
        return ""


# Network links: whether each interface is up, how fast it is, and how large its packets may be.

# fmt: off
_LINKS: Final = Table(
    "network_links", "Network links", "network_link_", INTEGER,
    (
        Metric("up", INTEGER, "yes or no", "Link Up",
               "1 if the interface is up and has a carrier, 0 if not."),
        Metric("speed", INTEGER, "megabits per second", "Link Speed",
               "The speed that was agreed upon; not sent where the driver tells none."),
        Metric("full_duplex", INTEGER, "yes or no", "Link Full Duplex",
               "1 if both sides may send at once, 0 if not; not sent where the driver does not tell."),
        Metric("mtu", INTEGER, "bytes", "Link MTU",
               "The largest packet that it sends."),
    ),
    (Label("network_link_interface", "Network Interface (Link)",
           "The interface, such as `eth0`."),),
)
# fmt: on

TABLES: Final = (_LINKS,)


def _ask() -> dict[str, dict[str, Value]]:
    return {name: row(stats) for name, stats in psutil.net_if_stats().items()}


def row(stats: Any) -> dict[str, Value]:  # noqa: ANN401 - psutil's private tuple type
    """The figures of one interface; None for what its driver does not tell."""
    duplexes = {psutil.NIC_DUPLEX_FULL: 1, psutil.NIC_DUPLEX_HALF: 0}
    return {
        "up": int(stats.isup),
        "speed": stats.speed or None,
        "full_duplex": duplexes.get(stats.duplex),
        "mtu": stats.mtu,
    }


def sources(plan: Plan) -> tuple[Source, ...]:
    """A driver may take its time to tell a speed, and holds a lock meanwhile."""
    paths = plan.filters.paths
    ask = partial(links, paths) if paths.are_elsewhere else _ask
    rows = Rows(_LINKS, ask, "the host has no network interface", plan.filters.interfaces.accepts)
    return (Limited(rows, plan.together()),)

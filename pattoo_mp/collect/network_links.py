"""Network links: whether each interface is up, how fast it is, and how large its packets may be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psutil

from pattoo_mp.collect import host_links
from pattoo_mp.collect.limited import Limited
from pattoo_mp.collect.rows import Rows
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.plan import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

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
    paths = plan.wanted.paths
    ask = partial(host_links.links, paths) if paths.are_elsewhere else _ask
    links = Rows(_LINKS, ask, "the host has no network interface", plan.wanted.interfaces.wants)
    return (Limited(links, plan.together()),)

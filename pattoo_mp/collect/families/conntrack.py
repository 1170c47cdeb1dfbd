"""Connection tracking: how many connections the firewall knows, and how many it may know.

See Documentation/networking/nf_conntrack-sysctl.rst in the kernel. When the table is full, packets of
new connections are dropped.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Source

# fmt: off
_CONNTRACK: Final = Table(
    "conntrack", "Connection tracking", "conntrack_", INTEGER,
    (
        Metric("entries", INTEGER, "connections", "Tracked Connections",
               "Connections in the firewall's table."),
        Metric("limit", INTEGER, "connections", "Tracked Connections (Limit)",
               "How many the table holds. Beyond that, packets of new connections are dropped."),
    ),
    exported={
        "entries": Exported("node_nf_conntrack_entries"),
        "limit": Exported("node_nf_conntrack_entries_limit"),
    },
)
# fmt: on

TABLES: Final = (_CONNTRACK,)

_SYSCTL: Final = "sys/net/netfilter/nf_conntrack_"


def parse_entries(lines: str) -> int:
    r"""Return the number of entries in `stat/nf_conntrack`. Raises `ValueError`.

    It has a line for each processor, in hexadecimal. Each begins with the entries of all of them.

    >>> parse_entries("entries  searched\n0000001f 00000000\n0000001f 00000000\n")
    31
    """
    _, first, *_ = lines.split("\n")
    return int(first.split(" ")[0], 16)


def _read(paths: HostPaths) -> dict[str, int]:
    # Below `sys/net` the kernel shows each reader the entries of the reader's own network.
    entries = (
        parse_entries(host.net("stat/nf_conntrack"))
        if paths.are_elsewhere
        else host.count(host.proc(f"{_SYSCTL}count").strip())
    )
    return {"entries": entries, "limit": host.count(host.proc(f"{_SYSCTL}max").strip())}


def sources(plan: Plan) -> tuple[Source, ...]:
    """The table's entries and its limit."""
    return (Fields(_CONNTRACK, partial(_read, plan.filters.paths)),)

"""Sockets: the number of each kind, and the memory that they use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

    Figures = dict[str, int | Exception]

# fmt: off
_IPV4: Final = Table(
    "sockets.ipv4", "Sockets", "sockets_", INTEGER,
    (
        Metric("used", INTEGER, "sockets", "Sockets",
               "Open sockets of every kind, including those used within the host."),
        Metric("tcp_inuse", INTEGER, "sockets", "TCP Sockets",
               "IPv4 TCP sockets that are connected or listening."),
        Metric("tcp_orphan", INTEGER, "sockets", "TCP Sockets (Orphaned)",
               "Connections that no program holds any more but that are not closed yet."),
        Metric("tcp_tw", INTEGER, "sockets", "TCP Sockets (Time Wait)",
               "Closed connections that wait for stray packets (TIME_WAIT), including IPv6."),
        Metric("tcp_alloc", INTEGER, "sockets", "TCP Sockets (Allocated)",
               "TCP sockets that use memory, in any state, including IPv6."),
        Metric("tcp_mem", INTEGER, "pages", "TCP Memory",
               "Memory of all TCP buffers, in pages, usually of 4 KiB."),
        Metric("udp_inuse", INTEGER, "sockets", "UDP Sockets",
               "IPv4 UDP sockets."),
        Metric("udp_mem", INTEGER, "pages", "UDP Memory",
               "Memory of all UDP buffers, in pages, usually of 4 KiB."),
        Metric("raw_inuse", INTEGER, "sockets", "Raw Sockets",
               "IPv4 raw sockets, such as those of `ping`."),
        Metric("frag_inuse", INTEGER, "packets", "IP Fragments",
               "IPv4 packets that wait for their other fragments."),
        Metric("frag_memory", INTEGER, "bytes", "IP Fragment Memory",
               "Memory used by these fragments."),
    ),
    exported={
        "used": Exported("node_sockstat_sockets_used"),
        "tcp_inuse": Exported("node_sockstat_TCP_inuse"),
        "tcp_orphan": Exported("node_sockstat_TCP_orphan"),
        "tcp_tw": Exported("node_sockstat_TCP_tw"),
        "tcp_alloc": Exported("node_sockstat_TCP_alloc"),
        "tcp_mem": Exported("node_sockstat_TCP_mem"),
        "udp_inuse": Exported("node_sockstat_UDP_inuse"),
        "udp_mem": Exported("node_sockstat_UDP_mem"),
        "raw_inuse": Exported("node_sockstat_RAW_inuse"),
        "frag_inuse": Exported("node_sockstat_FRAG_inuse"),
        "frag_memory": Exported("node_sockstat_FRAG_memory"),
    },
)

_IPV6: Final = Table(
    "sockets.ipv6", "Sockets: IPv6", "sockets_", INTEGER,
    (
        Metric("tcp6_inuse", INTEGER, "sockets", "TCP Sockets (IPv6)",
               "IPv6 TCP sockets that are connected or listening."),
        Metric("udp6_inuse", INTEGER, "sockets", "UDP Sockets (IPv6)",
               "IPv6 UDP sockets."),
        Metric("raw6_inuse", INTEGER, "sockets", "Raw Sockets (IPv6)",
               "IPv6 raw sockets."),
        Metric("frag6_inuse", INTEGER, "packets", "IP Fragments (IPv6)",
               "IPv6 packets that wait for their other fragments."),
        Metric("frag6_memory", INTEGER, "bytes", "IP Fragment Memory (IPv6)",
               "Memory used by these fragments."),
    ),
    exported={
        "tcp6_inuse": Exported("node_sockstat_TCP6_inuse"),
        "udp6_inuse": Exported("node_sockstat_UDP6_inuse"),
        "raw6_inuse": Exported("node_sockstat_RAW6_inuse"),
        "frag6_inuse": Exported("node_sockstat_FRAG6_inuse"),
        "frag6_memory": Exported("node_sockstat_FRAG6_memory"),
    },
)
# fmt: on

TABLES: Final = (_IPV4, _IPV6)


def parse(lines: str) -> Figures:
    r"""Return the figures of a sockstat file. Raises `ValueError`.

    A figure that is not one is an exception.

    >>> parse("sockets: used 82\nTCP: inuse 12 orphan 0\n")
    {'used': 82, 'tcp_inuse': 12, 'tcp_orphan': 0}
    """
    found: Figures = {}
    for line in lines.split("\n"):
        kind, _, figures = line.partition(":")
        prefix = "" if kind == "sockets" else f"{kind.lower()}_"
        words = figures.split()
        for name, number in zip(words[::2], words[1::2], strict=True):
            found[f"{prefix}{name}"] = host.count_or_error(number)
    return found


def _read(table: Table, file: str) -> Figures:
    return host.described(table, parse(host.net(file)))


def sources(_: Plan) -> tuple[Source, ...]:
    """A source for each version of IP: a host may have no IPv6."""
    return (
        Fields(_IPV4, partial(_read, _IPV4, "sockstat")),
        Fields(_IPV6, partial(_read, _IPV6, "sockstat6")),
    )

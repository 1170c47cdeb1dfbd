"""Sockets: how many there are of each kind, and what memory they take."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

# fmt: off
_IPV4: Final = Table(
    "sockets.ipv4", "Sockets", "sockets_", INTEGER,
    (
        Metric("used", INTEGER, "sockets", "Sockets",
               "Sockets of every kind that programs have open, those within the host too."),
        Metric("tcp_inuse", INTEGER, "sockets", "TCP Sockets",
               "TCP sockets of IPv4 that are connected or listen."),
        Metric("tcp_orphan", INTEGER, "sockets", "TCP Sockets (Orphaned)",
               "Connections that no program holds any more and that are not closed yet."),
        Metric("tcp_tw", INTEGER, "sockets", "TCP Sockets (Time Wait)",
               "Closed connections that wait for stray packets (TIME_WAIT), of IPv6 too."),
        Metric("tcp_alloc", INTEGER, "sockets", "TCP Sockets (Allocated)",
               "TCP sockets that take memory, in whatever state, of IPv6 too."),
        Metric("tcp_mem", INTEGER, "pages", "TCP Memory",
               "Memory of all TCP buffers, in pages, of mostly 4 KiB."),
        Metric("udp_inuse", INTEGER, "sockets", "UDP Sockets",
               "UDP sockets of IPv4."),
        Metric("udp_mem", INTEGER, "pages", "UDP Memory",
               "Memory of all UDP buffers, in pages, of mostly 4 KiB."),
        Metric("raw_inuse", INTEGER, "sockets", "Raw Sockets",
               "Raw sockets of IPv4, such as ping's."),
        Metric("frag_inuse", INTEGER, "packets", "IP Fragments",
               "Packets of IPv4 whose other fragments are waited for."),
        Metric("frag_memory", INTEGER, "bytes", "IP Fragment Memory",
               "Memory of those."),
    ),
)

_IPV6: Final = Table(
    "sockets.ipv6", "Sockets: IPv6", "sockets_", INTEGER,
    (
        Metric("tcp6_inuse", INTEGER, "sockets", "TCP Sockets (IPv6)",
               "TCP sockets of IPv6 that are connected or listen."),
        Metric("udp6_inuse", INTEGER, "sockets", "UDP Sockets (IPv6)",
               "UDP sockets of IPv6."),
        Metric("raw6_inuse", INTEGER, "sockets", "Raw Sockets (IPv6)",
               "Raw sockets of IPv6."),
        Metric("frag6_inuse", INTEGER, "packets", "IP Fragments (IPv6)",
               "Packets of IPv6 whose other fragments are waited for."),
        Metric("frag6_memory", INTEGER, "bytes", "IP Fragment Memory (IPv6)",
               "Memory of those."),
    ),
)
# fmt: on

TABLES: Final = (_IPV4, _IPV6)


def parse(lines: str) -> dict[str, int]:
    r"""The figures of a sockstat file. Raises `ValueError`.

    >>> parse("sockets: used 82\nTCP: inuse 12 orphan 0\n")
    {'used': 82, 'tcp_inuse': 12, 'tcp_orphan': 0}
    """
    found: dict[str, int] = {}
    for line in lines.splitlines():
        kind, _, figures = line.partition(":")
        prefix = "" if kind == "sockets" else f"{kind.lower()}_"
        words = figures.split()
        for name, number in zip(words[::2], words[1::2], strict=True):
            found[f"{prefix}{name}"] = int(number)
    return found


def _ask(table: Table, file: str) -> dict[str, Value]:
    return host.described(table, parse(host.net(file)))


def sources(_: Plan) -> tuple[Source, ...]:
    """One for each version of IP: a host may do without IPv6."""
    return (
        Fields(_IPV4, partial(_ask, _IPV4, "sockstat")),
        Fields(_IPV6, partial(_ask, _IPV6, "sockstat6")),
    )

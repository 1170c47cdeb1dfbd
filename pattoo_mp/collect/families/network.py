"""Network I/O, for each interface that the filters accept.

psutil only reads the agent's own network. For the network of another process, such as the host's when
the agent runs in a container, the same counters are parsed from `/proc/<pid>/net/dev`, see proc(5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Devices
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.host import HostPaths
    from pattoo_mp.collect.source import Record, Source

# fmt: off
_NETWORK_IO: Final = Table(
    "network_io", "Network I/O", "network_io_", COUNTER64,
    (
        Metric("bytes_sent", COUNTER64, "bytes", "Network I/O (Bytes Sent)",
               "Bytes sent by the interface."),
        Metric("bytes_recv", COUNTER64, "bytes", "Network I/O (Bytes Received)",
               "Bytes received by the interface."),
        Metric("packets_sent", COUNTER64, "packets", "Network I/O (Packets Sent)",
               "Packets sent by the interface."),
        Metric("packets_recv", COUNTER64, "packets", "Network I/O (Packets Received)",
               "Packets received by the interface."),
        Metric("errin", COUNTER64, "errors", "Network I/O (Errors Inbound)",
               "Packets received damaged."),
        Metric("errout", COUNTER64, "errors", "Network I/O (Errors Outbound)",
               "Packets that could not be sent."),
        Metric("dropin", COUNTER64, "drops", "Network I/O (Drops Inbound)",
               "Received packets that were dropped, usually because a buffer was full."),
        Metric("dropout", COUNTER64, "drops", "Network I/O (Drops Outbound)",
               "Outgoing packets that were dropped, usually because a buffer was full."),
    ),
    (Label("network_io_interface", "Network Interface", "The interface, such as `eth0`."),),
)
# fmt: on

TABLES: Final = (_NETWORK_IO,)


class Traffic(NamedTuple):
    """The counters of one interface, with psutil's names and in psutil's order."""

    bytes_sent: int
    bytes_recv: int
    packets_sent: int
    packets_recv: int
    errin: int
    errout: int
    dropin: int
    dropout: int


def parse(lines: str) -> dict[str, Traffic]:
    r"""Return the counters in a `net/dev` file by interface. Raises `ValueError`.

    >>> parse("a\nb\n  lo: 9 8 7 6 0 0 0 0 5 4 3 2 0 0 0 0\n")["lo"]
    Traffic(bytes_sent=5, bytes_recv=9, packets_sent=4, packets_recv=8, errin=7, errout=3, dropin=6, dropout=2)
    """
    found: dict[str, Traffic] = {}
    for line in lines.splitlines()[2:]:
        # Names of virtual interfaces may contain a colon.
        name, _, figures = line.rpartition(":")
        received, packets_in, errin, dropin, _, _, _, _, sent, packets_out, errout, dropout, *_ = (
            int(figure) for figure in figures.split()
        )
        found[name.strip()] = Traffic(
            sent, received, packets_out, packets_in, errin, errout, dropin, dropout
        )
    return found


def counters(paths: HostPaths) -> Callable[[], Mapping[str, Record]]:
    """Return a function that reads the counters of each of the host's interfaces."""
    return _counters_of_the_host if paths.are_elsewhere else _own_counters


def _own_counters() -> Mapping[str, Record]:
    own: Mapping[str, Record] = psutil.net_io_counters(pernic=True)
    return own


def _counters_of_the_host() -> Mapping[str, Record]:
    return parse(host.net("dev"))


def sources(plan: Plan) -> tuple[Source, ...]:
    """The counters of the interfaces that the filters accept."""
    filters = plan.filters
    return (Devices(_NETWORK_IO, counters(filters.paths), filters.interfaces.accepts),)

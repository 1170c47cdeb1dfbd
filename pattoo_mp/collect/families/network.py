"""Network I/O, for each interface that the filters accept, from `/proc/net/dev`, see proc(5).

psutil gives the same counters, but only of the agent's own network, not of the host's when the agent
runs in a container. By default it also adds what a counter had before it stepped back, such as that of
an interface which was removed and made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Devices
from pattoo_mp.collect.table import Exported, Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

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
    (Label("network_io_interface", "Network Interface", "The interface, such as `eth0`.", prometheus="device"),),
    exported={
        "bytes_sent": Exported("node_network_transmit_bytes_total"),
        "bytes_recv": Exported("node_network_receive_bytes_total"),
        "packets_sent": Exported("node_network_transmit_packets_total"),
        "packets_recv": Exported("node_network_receive_packets_total"),
        "errin": Exported("node_network_receive_errs_total"),
        "errout": Exported("node_network_transmit_errs_total"),
        "dropin": Exported("node_network_receive_drop_total"),
        "dropout": Exported("node_network_transmit_drop_total"),
    },
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


#: The two lines of headings in `net/dev`.
_HEADINGS: Final = 2
_LEAST_COUNTS: Final = 12


def parse(lines: str) -> dict[str, Traffic | Exception]:
    r"""Return the counters in a `net/dev` file by interface.

    An interface whose line is damaged has an exception instead.

    >>> parse("a\nb\n  lo: 9 8 7 6 0 0 0 0 5 4 3 2 0 0 0 0\n")["lo"]
    Traffic(bytes_sent=5, bytes_recv=9, packets_sent=4, packets_recv=8, errin=7, errout=3, dropin=6, dropout=2)
    """
    found: dict[str, Traffic | Exception] = {}
    for line in lines.split("\n")[_HEADINGS:]:
        # Names of virtual interfaces may contain a colon, and such spaces as U+0085.
        name, _, figures = line.rpartition(":")
        if line:
            found[name.strip(" ") or line.strip()] = _traffic(figures)
    return found


def _traffic(figures: str) -> Traffic | Exception:
    found = host.counts(figures.split())
    counts = [figure for figure in found if not isinstance(figure, Exception)]
    if len(counts) < max(len(found), _LEAST_COUNTS):
        return ValueError("its line in /proc/net/dev is damaged; expected 12 numbers or more")
    received, packets_in, errin, dropin, _, _, _, _, sent, packets_out, errout, dropout, *_ = counts
    return Traffic(sent, received, packets_out, packets_in, errin, errout, dropin, dropout)


def read() -> dict[str, Traffic | Exception]:
    """Read and parse the file of the host's network. Raises `OSError`."""
    return parse(host.net("dev"))


def sources(plan: Plan) -> tuple[Source, ...]:
    """The counters of the interfaces that the filters accept."""
    none = "the kernel reports no network interface"
    return (Devices(_NETWORK_IO, read, plan.filters.interfaces.accepts, none),)

"""Network I/O, for each interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import kernel, net_dev
from pattoo_mp.collect.source import Devices
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.collect.host_paths import HostPaths
    from pattoo_mp.collect.plan import Plan
    from pattoo_mp.collect.source import Record, Source

# fmt: off
_NETWORK_IO: Final = Table(
    "network_io", "Network I/O", "network_io_", COUNTER64,
    (
        Metric("bytes_sent", COUNTER64, "bytes", "Network I/O (Bytes Sent)",
               "Bytes that left by the interface."),
        Metric("bytes_recv", COUNTER64, "bytes", "Network I/O (Bytes Received)",
               "Bytes that came in by the interface."),
        Metric("packets_sent", COUNTER64, "packets", "Network I/O (Packets Sent)",
               "Packets that left by the interface."),
        Metric("packets_recv", COUNTER64, "packets", "Network I/O (Packets Received)",
               "Packets that came in by the interface."),
        Metric("errin", COUNTER64, "errors", "Network I/O (Errors Inbound)",
               "Packets that came in damaged."),
        Metric("errout", COUNTER64, "errors", "Network I/O (Errors Outbound)",
               "Packets that could not be sent."),
        Metric("dropin", COUNTER64, "drops", "Network I/O (Drops Inbound)",
               "Packets that came in and were dropped, mostly for want of room."),
        Metric("dropout", COUNTER64, "drops", "Network I/O (Drops Outbound)",
               "Packets to be sent that were dropped, mostly for want of room."),
    ),
    (Label("network_io_interface", "Network Interface", "The interface, such as `eth0`."),),
)
# fmt: on

TABLES: Final = (_NETWORK_IO,)


def counters(paths: HostPaths) -> Callable[[], Mapping[str, Record]]:
    """What tells of the traffic of each of the host's interfaces. psutil knows no network but ours."""
    return _counters_of_the_host if paths.are_elsewhere else _own_counters


def _own_counters() -> Mapping[str, Record]:
    own: Mapping[str, Record] = psutil.net_io_counters(pernic=True)
    return own


def _counters_of_the_host() -> Mapping[str, Record]:
    return net_dev.parse(kernel.net("dev"))


def sources(plan: Plan) -> tuple[Source, ...]:
    """The counters of the interfaces that are wanted."""
    wanted = plan.wanted
    return (Devices(_NETWORK_IO, counters(wanted.paths), wanted.interfaces.wants),)

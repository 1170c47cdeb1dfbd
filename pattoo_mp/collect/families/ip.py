"""IP: packets, ICMP messages and, for IPv6, UDP datagrams since the host started.

The family `protocols` has TCP, and UDP of IPv4.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.families import protocols
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

    Figures = tuple[tuple[str, str, str, str, str], ...]

#: For each figure of both versions: the kernel's name without the protocol (RFC 4293, RFC 4443), our
#: name, its unit, a heading and a description.
_IP: Final = (
    ("InReceives", "packets_in", "packets", "Packets Received",
     "Packets received, including damaged ones."),
    ("InDelivers", "packets_delivered", "packets", "Packets Delivered",
     "Packets given to a protocol of this host, such as TCP."),
    ("OutRequests", "packets_out", "packets", "Packets Sent",
     "Packets sent by this host, excluding forwarded ones."),
    ("{forwarded}", "packets_forwarded", "packets", "Packets Forwarded",
     "Packets for other hosts that were sent on."),
    ("InHdrErrors", "header_errors_in", "packets", "Packets With a Bad Header",
     "Packets dropped for an error in their header, such as an expired lifetime."),
    ("InAddrErrors", "address_errors_in", "packets", "Packets for a Bad Address",
     "Packets dropped because their address is not one of this host."),
    ("InDiscards", "discards_in", "packets", "Packets Discarded Inbound",
     "Good packets that were dropped, such as for lack of memory."),
    ("OutDiscards", "discards_out", "packets", "Packets Discarded Outbound",
     "The same for packets to be sent."),
    ("OutNoRoutes", "no_route_out", "packets", "Packets Without a Route",
     "Packets dropped because no route leads to their destination."),
    ("ReasmFails", "reassembly_fails", "failures", "Reassembly Failures",
     "Packets that could not be put together from their fragments."),
    ("FragFails", "fragment_fails", "failures", "Fragmentation Failures",
     "Packets that were too large and must not or could not be cut into fragments."),
)  # fmt: skip
_ICMP: Final = (
    ("InMsgs", "icmp_messages_in", "messages", "ICMP Messages Received",
     "Messages received, including damaged ones."),
    ("OutMsgs", "icmp_messages_out", "messages", "ICMP Messages Sent",
     "Messages sent."),
    ("InErrors", "icmp_errors_in", "messages", "ICMP Errors Inbound",
     "Messages received that are damaged or of no use."),
    ("OutErrors", "icmp_errors_out", "messages", "ICMP Errors Outbound",
     "Messages that could not be sent."),
    ("InDestUnreachs", "icmp_unreachable_in", "messages", "ICMP Unreachable Received",
     "Messages received that a destination cannot be reached."),
    ("OutDestUnreachs", "icmp_unreachable_out", "messages", "ICMP Unreachable Sent",
     "Messages sent that a destination cannot be reached."),
    ("InTimeExcds", "icmp_time_exceeded_in", "messages", "ICMP Time Exceeded Received",
     "Messages received that the lifetime of a packet expired on its way."),
)  # fmt: skip
#: Only of IPv6. The names are complete.
_MORE_OF_IPV6: Final = (
    ("Ip6InTruncatedPkts", "truncated_in", "packets", "Packets Truncated",
     "Packets dropped because they were shorter than their header says."),
    ("Ip6InOctets", "bytes_in", "bytes", "Bytes Received",
     "Bytes of packets received."),
    ("Ip6OutOctets", "bytes_out", "bytes", "Bytes Sent",
     "Bytes of packets sent."),
    ("Icmp6InPktTooBigs", "icmp_too_big_in", "messages", "ICMP Packet Too Big Received",
     "Messages received that a packet is larger than a link on its way carries."),
    ("Udp6InDatagrams", "udp_datagrams_in", "datagrams", "UDP Datagrams Received",
     "Datagrams delivered to a program."),
    ("Udp6OutDatagrams", "udp_datagrams_out", "datagrams", "UDP Datagrams Sent",
     "Datagrams sent."),
    ("Udp6NoPorts", "udp_no_port", "datagrams", "UDP Datagrams to Nobody",
     "Datagrams for a port that no program listened on."),
    ("Udp6InErrors", "udp_errors_in", "datagrams", "UDP Datagrams Lost",
     "Datagrams received but not delivered, for a reason other than an unused port."),
    ("Udp6RcvbufErrors", "udp_no_room_in", "datagrams", "UDP Datagrams Lost (Receive Buffer)",
     "Of these, datagrams lost because the program's receive buffer was full."),
    ("Udp6SndbufErrors", "udp_no_room_out", "datagrams", "UDP Datagrams Lost (Send Buffer)",
     "Datagrams that could not be sent because a buffer was full."),
)  # fmt: skip


def _prefixed(ip: str, icmp: str, forwarded: str) -> Figures:
    """Return the figures of both protocols with the names that a file of the kernel has for them."""
    return tuple(
        (prefix + theirs.format(forwarded=forwarded), name, unit, title, meaning)
        for prefix, figures in ((ip, _IP), (icmp, _ICMP))
        for theirs, name, unit, title, meaning in figures
    )


_IPV4: Final = _prefixed("Ip ", "Icmp ", "ForwDatagrams")
_IPV6: Final = (*_prefixed("Ip6", "Icmp6", "OutForwDatagrams"), *_MORE_OF_IPV6)


def _metrics(version: str, figures: Figures) -> tuple[Metric, ...]:
    return tuple(
        Metric(name, COUNTER64, unit, f"{version} {title}", meaning)
        for _, name, unit, title, meaning in figures
    )


TABLES: Final = (
    Table(
        "ip.ipv4",
        "IP: IPv4",
        "ip4_",
        COUNTER64,
        _metrics("IPv4", _IPV4),
        exported={
            "packets_in": Exported("node_netstat_Ip_InReceives"),
            "packets_delivered": Exported("node_netstat_Ip_InDelivers"),
            "packets_out": Exported("node_netstat_Ip_OutRequests"),
            "packets_forwarded": Exported("node_netstat_Ip_ForwDatagrams"),
            "header_errors_in": Exported("node_netstat_Ip_InHdrErrors"),
            "address_errors_in": Exported("node_netstat_Ip_InAddrErrors"),
            "discards_in": Exported("node_netstat_Ip_InDiscards"),
            "discards_out": Exported("node_netstat_Ip_OutDiscards"),
            "no_route_out": Exported("node_netstat_Ip_OutNoRoutes"),
            "reassembly_fails": Exported("node_netstat_Ip_ReasmFails"),
            "fragment_fails": Exported("node_netstat_Ip_FragFails"),
            "icmp_messages_in": Exported("node_netstat_Icmp_InMsgs"),
            "icmp_messages_out": Exported("node_netstat_Icmp_OutMsgs"),
            "icmp_errors_in": Exported("node_netstat_Icmp_InErrors"),
            "icmp_errors_out": Exported("node_netstat_Icmp_OutErrors"),
            "icmp_unreachable_in": Exported("node_netstat_Icmp_InDestUnreachs"),
            "icmp_unreachable_out": Exported("node_netstat_Icmp_OutDestUnreachs"),
            "icmp_time_exceeded_in": Exported("node_netstat_Icmp_InTimeExcds"),
        },
    ),
    Table(
        "ip.ipv6",
        "IP: IPv6",
        "ip6_",
        COUNTER64,
        _metrics("IPv6", _IPV6),
        exported={
            "packets_in": Exported("node_netstat_Ip6_InReceives"),
            "packets_delivered": Exported("node_netstat_Ip6_InDelivers"),
            "packets_out": Exported("node_netstat_Ip6_OutRequests"),
            "packets_forwarded": Exported("node_netstat_Ip6_OutForwDatagrams"),
            "header_errors_in": Exported("node_netstat_Ip6_InHdrErrors"),
            "address_errors_in": Exported("node_netstat_Ip6_InAddrErrors"),
            "discards_in": Exported("node_netstat_Ip6_InDiscards"),
            "discards_out": Exported("node_netstat_Ip6_OutDiscards"),
            "no_route_out": Exported("node_netstat_Ip6_OutNoRoutes"),
            "reassembly_fails": Exported("node_netstat_Ip6_ReasmFails"),
            "fragment_fails": Exported("node_netstat_Ip6_FragFails"),
            "icmp_messages_in": Exported("node_netstat_Icmp6_InMsgs"),
            "icmp_messages_out": Exported("node_netstat_Icmp6_OutMsgs"),
            "icmp_errors_in": Exported("node_netstat_Icmp6_InErrors"),
            "icmp_errors_out": Exported("node_netstat_Icmp6_OutErrors"),
            "icmp_unreachable_in": Exported("node_netstat_Icmp6_InDestUnreachs"),
            "icmp_unreachable_out": Exported("node_netstat_Icmp6_OutDestUnreachs"),
            "icmp_time_exceeded_in": Exported("node_netstat_Icmp6_InTimeExcds"),
            "truncated_in": Exported("node_netstat_Ip6_InTruncatedPkts"),
            "bytes_in": Exported("node_netstat_Ip6_InOctets"),
            "bytes_out": Exported("node_netstat_Ip6_OutOctets"),
            "icmp_too_big_in": Exported("node_netstat_Icmp6_InPktTooBigs"),
            "udp_datagrams_in": Exported("node_netstat_Udp6_InDatagrams"),
            "udp_datagrams_out": Exported("node_netstat_Udp6_OutDatagrams"),
            "udp_no_port": Exported("node_netstat_Udp6_NoPorts"),
            "udp_errors_in": Exported("node_netstat_Udp6_InErrors"),
            "udp_no_room_in": Exported("node_netstat_Udp6_RcvbufErrors"),
            "udp_no_room_out": Exported("node_netstat_Udp6_SndbufErrors"),
        },
    ),
)


def sources(_: Plan) -> tuple[Source, ...]:
    """A source for each version of IP: a host may have no IPv6."""
    ipv4, ipv6 = TABLES
    return (
        Fields(ipv4, partial(protocols.read, _IPV4, "snmp")),
        Fields(ipv6, partial(protocols.read, _IPV6, "snmp6", host.numbers)),
    )

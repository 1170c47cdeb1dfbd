"""Protocols: traffic and errors of TCP, UDP and IP since the host started."""

from __future__ import annotations

from functools import partial
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

    Figures = dict[str, int | Exception]

#: For each figure: the kernel's name (RFC 1213 defines those in `snmp`), our name, its unit, a heading
#: and a description.
_SNMP: Final = (
    ("Tcp CurrEstab", "tcp_established", "connections", "TCP Connections",
     "Connections established now, including IPv6."),
    ("Tcp ActiveOpens", "tcp_active_opens", "connections", "TCP Connections Opened",
     "Connections opened by this host."),
    ("Tcp PassiveOpens", "tcp_passive_opens", "connections", "TCP Connections Accepted",
     "Connections opened by other hosts."),
    ("Tcp AttemptFails", "tcp_attempt_fails", "connections", "TCP Connections Failed",
     "Connection attempts that failed."),
    ("Tcp EstabResets", "tcp_established_resets", "connections", "TCP Connections Reset",
     "Established connections that were reset."),
    ("Tcp InSegs", "tcp_segments_in", "segments", "TCP Segments Received",
     "Segments received."),
    ("Tcp OutSegs", "tcp_segments_out", "segments", "TCP Segments Sent",
     "Segments sent, excluding retransmissions."),
    ("Tcp RetransSegs", "tcp_segments_again", "segments", "TCP Segments Retransmitted",
     "Segments sent again, because the network lost them or is slow."),
    ("Tcp InErrs", "tcp_errors_in", "segments", "TCP Segments Damaged",
     "Segments received damaged."),
    ("Tcp OutRsts", "tcp_resets_out", "segments", "TCP Resets Sent",
     "Resets sent, such as for a port that no program listens on."),
    ("Udp InDatagrams", "udp_datagrams_in", "datagrams", "UDP Datagrams Received",
     "IPv4 datagrams delivered to a program."),
    ("Udp OutDatagrams", "udp_datagrams_out", "datagrams", "UDP Datagrams Sent",
     "IPv4 datagrams sent."),
    ("Udp NoPorts", "udp_no_port", "datagrams", "UDP Datagrams to Nobody",
     "IPv4 datagrams for a port that no program listened on."),
    ("Udp InErrors", "udp_errors_in", "datagrams", "UDP Datagrams Lost",
     "IPv4 datagrams received but not delivered, for a reason other than an unused port."),
    ("Udp RcvbufErrors", "udp_no_room_in", "datagrams", "UDP Datagrams Lost (Receive Buffer)",
     "Of these, datagrams lost because the program's receive buffer was full."),
    ("Udp SndbufErrors", "udp_no_room_out", "datagrams", "UDP Datagrams Lost (Send Buffer)",
     "IPv4 datagrams that could not be sent because a buffer was full."),
)  # fmt: skip
_NETSTAT: Final = (
    ("TcpExt ListenOverflows", "tcp_listen_overflows", "connections", "TCP Listen Overflows",
     "Connections lost because a program's accept queue was full."),
    ("TcpExt ListenDrops", "tcp_listen_drops", "connections", "TCP Listen Drops",
     "Connections dropped before they were accepted, for any reason."),
    ("TcpExt TCPTimeouts", "tcp_timeouts", "timeouts", "TCP Timeouts",
     "Times that an acknowledgement did not arrive in time."),
    ("TcpExt TCPSynRetrans", "tcp_syn_again", "segments", "TCP SYN Retransmitted",
     "Connection requests (SYN) sent again."),
    ("TcpExt TCPAbortOnMemory", "tcp_aborts_for_memory", "connections", "TCP Aborts (Memory)",
     "Connections aborted because memory was short."),
    ("TcpExt SyncookiesSent", "tcp_syncookies_out", "segments", "TCP SYN Cookies Sent",
     "SYN cookies sent, in answer to a flood of connection requests."),
    ("TcpExt SyncookiesFailed", "tcp_syncookies_bad", "segments", "TCP SYN Cookies Refused",
     "Invalid SYN cookies received."),
    ("IpExt InOctets", "ip_bytes_in", "bytes", "IP Bytes Received",
     "Bytes of IPv4 packets received."),
    ("IpExt OutOctets", "ip_bytes_out", "bytes", "IP Bytes Sent",
     "Bytes of IPv4 packets sent."),
)  # fmt: skip

#: The one figure that is not a counter.
_GAUGE: Final = "tcp_established"


def _metrics(figures: tuple[tuple[str, str, str, str, str], ...]) -> tuple[Metric, ...]:
    return tuple(
        Metric(name, INTEGER if name == _GAUGE else COUNTER64, unit, title, meaning)
        for _, name, unit, title, meaning in figures
    )


TABLES: Final = (
    Table(
        "protocols.basic",
        "Protocols",
        "protocols_",
        COUNTER64,
        _metrics(_SNMP),
        exported={
            "tcp_established": Exported("node_netstat_Tcp_CurrEstab"),
            "tcp_active_opens": Exported("node_netstat_Tcp_ActiveOpens"),
            "tcp_passive_opens": Exported("node_netstat_Tcp_PassiveOpens"),
            "tcp_attempt_fails": Exported("node_netstat_Tcp_AttemptFails"),
            "tcp_established_resets": Exported("node_netstat_Tcp_EstabResets"),
            "tcp_segments_in": Exported("node_netstat_Tcp_InSegs"),
            "tcp_segments_out": Exported("node_netstat_Tcp_OutSegs"),
            "tcp_segments_again": Exported("node_netstat_Tcp_RetransSegs"),
            "tcp_errors_in": Exported("node_netstat_Tcp_InErrs"),
            "tcp_resets_out": Exported("node_netstat_Tcp_OutRsts"),
            "udp_datagrams_in": Exported("node_netstat_Udp_InDatagrams"),
            "udp_datagrams_out": Exported("node_netstat_Udp_OutDatagrams"),
            "udp_no_port": Exported("node_netstat_Udp_NoPorts"),
            "udp_errors_in": Exported("node_netstat_Udp_InErrors"),
            "udp_no_room_in": Exported("node_netstat_Udp_RcvbufErrors"),
            "udp_no_room_out": Exported("node_netstat_Udp_SndbufErrors"),
        },
    ),
    Table(
        "protocols.more",
        "Protocols: more of them",
        "protocols_",
        COUNTER64,
        _metrics(_NETSTAT),
        exported={
            "tcp_listen_overflows": Exported("node_netstat_TcpExt_ListenOverflows"),
            "tcp_listen_drops": Exported("node_netstat_TcpExt_ListenDrops"),
            "tcp_timeouts": Exported("node_netstat_TcpExt_TCPTimeouts"),
            "tcp_syn_again": Exported("node_netstat_TcpExt_TCPSynRetrans"),
            "tcp_aborts_for_memory": Exported("node_netstat_TcpExt_TCPAbortOnMemory"),
            "tcp_syncookies_out": Exported("node_netstat_TcpExt_SyncookiesSent"),
            "tcp_syncookies_bad": Exported("node_netstat_TcpExt_SyncookiesFailed"),
            "ip_bytes_in": Exported("node_netstat_IpExt_InOctets"),
            "ip_bytes_out": Exported("node_netstat_IpExt_OutOctets"),
        },
    ),
)


def parse(lines: str) -> Figures:
    r"""Return the figures of `snmp` or `netstat` by protocol and name. Raises `ValueError`.

    A line of names is followed by a line of numbers. A figure that is not one is an exception.

    >>> parse("Udp: InDatagrams NoPorts\nUdp: 988 4\n")
    {'Udp InDatagrams': 988, 'Udp NoPorts': 4}
    """
    found: Figures = {}
    for names, numbers in list(pairwise(lines.split("\n")))[::2]:
        protocol, *columns = names.split()
        same, *figures = numbers.split()
        if same != protocol:
            raise ValueError(f"expected numbers of {protocol}, found {same}")
        each: Iterable[int | Exception]
        if len(figures) == len(columns):
            each = map(host.count_or_error, figures)
        else:
            each = repeat(
                ValueError(f"{len(figures)} numbers of {protocol[:-1]} have {len(columns)} names")
            )
        for column, figure in zip(columns, each, strict=False):
            found[f"{protocol.removesuffix(':')} {column}"] = figure
    return found


def read(
    figures: Iterable[tuple[str, str, str, str, str]],
    file: str,
    parse: Callable[[str], Mapping[str, int | Exception]] = parse,
) -> Figures:
    """Return those of `figures`, by our names, that a file of the host's network has."""
    found = parse(host.net(file))
    return {name: found[theirs] for theirs, name, *_ in figures if theirs in found}


def sources(_: Plan) -> tuple[Source, ...]:
    """A source for each of the kernel's two files."""
    files = ((_SNMP, "snmp"), (_NETSTAT, "netstat"))
    return tuple(
        Fields(table, partial(read, figures, file))
        for table, (figures, file) in zip(TABLES, files, strict=True)
    )

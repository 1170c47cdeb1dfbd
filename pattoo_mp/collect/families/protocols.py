"""Protocols: what TCP, UDP and IP have done since the host started, and what went wrong."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source
    from pattoo_mp.model import Value

#: The kernel's name of each figure (RFC 1213 has those of `snmp`), ours, its unit and its sense.
_SNMP: Final = (
    ("Tcp CurrEstab", "tcp_established", "connections", "TCP Connections",
     "Connections that are established now, of IPv6 too."),
    ("Tcp ActiveOpens", "tcp_active_opens", "connections", "TCP Connections Opened",
     "Connections that this host began."),
    ("Tcp PassiveOpens", "tcp_passive_opens", "connections", "TCP Connections Accepted",
     "Connections that others began."),
    ("Tcp AttemptFails", "tcp_attempt_fails", "connections", "TCP Connections Failed",
     "Connections that did not come about."),
    ("Tcp EstabResets", "tcp_established_resets", "connections", "TCP Connections Reset",
     "Connections that were broken off."),
    ("Tcp InSegs", "tcp_segments_in", "segments", "TCP Segments Received",
     "Segments that came in."),
    ("Tcp OutSegs", "tcp_segments_out", "segments", "TCP Segments Sent",
     "Segments that were sent, without those that were sent again."),
    ("Tcp RetransSegs", "tcp_segments_again", "segments", "TCP Segments Retransmitted",
     "Segments that were sent once more: the network loses them, or is slow."),
    ("Tcp InErrs", "tcp_errors_in", "segments", "TCP Segments Damaged",
     "Segments that came in damaged."),
    ("Tcp OutRsts", "tcp_resets_out", "segments", "TCP Resets Sent",
     "Resets that were sent, such as for a port where nobody listens."),
    ("Udp InDatagrams", "udp_datagrams_in", "datagrams", "UDP Datagrams Received",
     "Datagrams of IPv4 that a program was given."),
    ("Udp OutDatagrams", "udp_datagrams_out", "datagrams", "UDP Datagrams Sent",
     "Datagrams of IPv4 that were sent."),
    ("Udp NoPorts", "udp_no_port", "datagrams", "UDP Datagrams to Nobody",
     "Datagrams of IPv4 for a port where nobody listened."),
    ("Udp InErrors", "udp_errors_in", "datagrams", "UDP Datagrams Lost",
     "Datagrams of IPv4 that came in and no program was given, for whatever reason."),
    ("Udp RcvbufErrors", "udp_no_room_in", "datagrams", "UDP Datagrams Lost (Receive Buffer)",
     "Those for which the program's buffer had no room."),
    ("Udp SndbufErrors", "udp_no_room_out", "datagrams", "UDP Datagrams Lost (Send Buffer)",
     "Datagrams of IPv4 that could not be sent for want of room."),
)  # fmt: skip
_NETSTAT: Final = (
    ("TcpExt ListenOverflows", "tcp_listen_overflows", "connections", "TCP Listen Overflows",
     "Connections that a program did not accept in time, its queue being full."),
    ("TcpExt ListenDrops", "tcp_listen_drops", "connections", "TCP Listen Drops",
     "Connections that were dropped before they were accepted, for whatever reason."),
    ("TcpExt TCPTimeouts", "tcp_timeouts", "timeouts", "TCP Timeouts",
     "Times that an answer did not come in time."),
    ("TcpExt TCPSynRetrans", "tcp_syn_again", "segments", "TCP SYN Retransmitted",
     "Beginnings of connections that were sent once more."),
    ("TcpExt TCPAbortOnMemory", "tcp_aborts_for_memory", "connections", "TCP Aborts (Memory)",
     "Connections that were broken off for want of memory."),
    ("TcpExt SyncookiesSent", "tcp_syncookies_out", "segments", "TCP SYN Cookies Sent",
     "Answers to a flood of beginnings."),
    ("TcpExt SyncookiesFailed", "tcp_syncookies_bad", "segments", "TCP SYN Cookies Refused",
     "Answers to those that were wrong."),
    ("IpExt InOctets", "ip_bytes_in", "bytes", "IP Bytes Received",
     "Bytes of IPv4 packets that came in."),
    ("IpExt OutOctets", "ip_bytes_out", "bytes", "IP Bytes Sent",
     "Bytes of IPv4 packets that were sent."),
)  # fmt: skip

#: All others are counters.
_NOW: Final = "tcp_established"


def _metrics(figures: tuple[tuple[str, str, str, str, str], ...]) -> tuple[Metric, ...]:
    return tuple(
        Metric(name, INTEGER if name == _NOW else COUNTER64, unit, title, meaning)
        for _, name, unit, title, meaning in figures
    )


TABLES: Final = (
    Table("protocols.basic", "Protocols", "protocols_", COUNTER64, _metrics(_SNMP)),
    Table("protocols.more", "Protocols: more of them", "protocols_", COUNTER64, _metrics(_NETSTAT)),
)


def parse(lines: str) -> dict[str, int]:
    r"""The figures of `snmp` or `netstat`: a line of names, and one of numbers. Raises `ValueError`.

    >>> parse("Udp: InDatagrams NoPorts\nUdp: 988 4\n")
    {'Udp InDatagrams': 988, 'Udp NoPorts': 4}
    """
    found: dict[str, int] = {}
    for names, numbers in list(pairwise(lines.splitlines()))[::2]:
        protocol, *columns = names.split()
        same, *figures = numbers.split()
        if same != protocol:
            raise ValueError(f"expected numbers of {protocol} and found {same}")
        for column, figure in zip(columns, figures, strict=True):
            found[f"{protocol.removesuffix(':')} {column}"] = int(figure)
    return found


def _ask(figures: tuple[tuple[str, str, str, str, str], ...], file: str) -> dict[str, Value]:
    found = parse(host.net(file))
    return {name: found[theirs] for theirs, name, *_ in figures if theirs in found}


def sources(_: Plan) -> tuple[Source, ...]:
    """One for each of the kernel's two files."""
    files = ((_SNMP, "snmp"), (_NETSTAT, "netstat"))
    return tuple(
        Fields(table, partial(_ask, figures, file))
        for table, (figures, file) in zip(TABLES, files, strict=True)
    )

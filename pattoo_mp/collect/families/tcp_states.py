"""TCP connections by state, of IPv4 and IPv6 together, from `/proc/net/tcp` and `tcp6`.

The kernel writes a line for each connection, so a poll takes longer the more there are.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

#: The kernel's number (<net/tcp_states.h>), our name, a heading, and what such a connection does.
_STATES: Final = (
    ("01", "established", "Established", "are open"),
    ("02", "syn_sent", "SYN Sent", "were requested by this host and not answered yet"),
    ("03", "syn_received", "SYN Received", "were requested by another host and not completed yet"),
    ("04", "fin_wait1", "FIN Wait 1", "this host closed, without an acknowledgement yet"),
    ("05", "fin_wait2", "FIN Wait 2", "this host closed, and the other one did not yet"),
    ("06", "time_wait", "Time Wait", "are closed, and wait for stray packets"),
    ("07", "closed", "Closed", "are not in use"),
    ("08", "close_wait", "Close Wait", "the other host closed, and the program here did not yet"),
    ("09", "last_ack", "Last ACK", "both closed, without the last acknowledgement yet"),
    ("0A", "listen", "Listen", "wait for other hosts' requests"),
    ("0B", "closing", "Closing", "both closed at the same time"),
)

_TCP: Final = Table(
    "tcp_states", "TCP connections by state", "tcp_states_", INTEGER,
    tuple(
        Metric(name, INTEGER, "sockets", f"TCP Sockets ({title})", f"TCP sockets that {do}.")
        for _, name, title, do in _STATES
    ),
    exported={
        "established": Exported("node_tcp_connection_states", (("state", "established"),), help="TCP sockets by state."),
        "syn_sent": Exported("node_tcp_connection_states", (("state", "syn_sent"),), help="TCP sockets by state."),
        "syn_received": Exported("node_tcp_connection_states", (("state", "syn_recv"),), help="TCP sockets by state."),
        "fin_wait1": Exported("node_tcp_connection_states", (("state", "fin_wait1"),), help="TCP sockets by state."),
        "fin_wait2": Exported("node_tcp_connection_states", (("state", "fin_wait2"),), help="TCP sockets by state."),
        "time_wait": Exported("node_tcp_connection_states", (("state", "time_wait"),), help="TCP sockets by state."),
        "closed": Exported("node_tcp_connection_states", (("state", "close"),), help="TCP sockets by state."),
        "close_wait": Exported("node_tcp_connection_states", (("state", "close_wait"),), help="TCP sockets by state."),
        "last_ack": Exported("node_tcp_connection_states", (("state", "last_ack"),), help="TCP sockets by state."),
        "listen": Exported("node_tcp_connection_states", (("state", "listen"),), help="TCP sockets by state."),
        "closing": Exported("node_tcp_connection_states", (("state", "closing"),), help="TCP sockets by state."),
    },
)  # fmt: skip

TABLES: Final = (_TCP,)

_NAMES: Final = {number.encode(): name for number, name, _, _ in _STATES}
#: Number of the line, both addresses, and the state.
_LINE: Final = re.compile(rb" *[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) ")


def count_states(lines: Iterable[bytes]) -> dict[str, int]:
    """Return the number of sockets in each state, 0 included. Raises `ValueError`.

    >>> line = b"   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000"
    >>> count_states([line, line])["listen"]
    2
    """
    counts = Counter(_state(line) for line in lines)
    return {name: counts[name] for name in _NAMES.values()}


def _state(line: bytes) -> str:
    found = _LINE.match(line)
    if found is None or found[1] not in _NAMES:
        raise ValueError("a line of /proc/net/tcp or tcp6 is damaged")
    return _NAMES[found[1]]


def _lines() -> Iterator[bytes]:
    """Yield the lines of both files, without their headings. A kernel without IPv6 has one file."""
    for name in ("tcp", "tcp6"):
        try:
            with open(f"{psutil.PROCFS_PATH}/{host.NET}/{name}", "rb") as file:  # noqa: PTH123 - as in `host`
                if not file.readline():
                    raise ValueError(f"/proc/net/{name} is empty")
                yield from file
        except FileNotFoundError:
            if name == "tcp":
                raise


def sources(_: Plan) -> tuple[Source, ...]:
    """The states: a busy server has a hundred thousand connections."""
    return (Fields(_TCP, lambda: count_states(_lines())),)

"""What this host may lack for a connection, which says nothing about the server. No I/O."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping


class Lack(NamedTuple):
    """What this host lacks, with what to do, and the kind of fault that it is."""

    error: str
    fault: Fault


_MEMORY: Final = Lack(
    "this host has no memory for a connection: free some, or raise the agent's limit", Fault.OURS
)
#: By error of a system call. A host that is not reached (EHOSTUNREACH) is not among them: a router
#: or the network says so, not this host.
_LACKS: Final[Mapping[int, Lack]] = {
    errno.EMFILE: Lack(
        "the agent has no file descriptor left for a connection: raise its limit (LimitNOFILE in "
        "systemd, ulimit -n in a shell)",
        Fault.OURS,
    ),
    errno.ENFILE: Lack(
        "this host has no file descriptor left for a connection: find the program that keeps so many "
        "files open, or raise fs.file-max",
        Fault.OURS,
    ),
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.EADDRNOTAVAIL: Lack(
        "this host has no free local port, or no address, for a connection to the server: see ss -s, "
        "net.ipv4.ip_local_port_range and ip address",
        Fault.NO_ROUTE,
    ),
    errno.ENETUNREACH: Lack(
        "this host has no route to the server (Network is unreachable): see ip route and ip link",
        Fault.NO_ROUTE,
    ),
    errno.ENETDOWN: Lack(
        "this host's network interface is down: see ip link and ip route", Fault.NO_ROUTE
    ),
    errno.ENODEV: Lack(
        "this host has no such network interface, or the server's address takes no zone: see ip link, "
        "and the zone of the address",
        Fault.NO_ROUTE,
    ),
    # See exchange.py.
    errno.EDESTADDRREQ: Lack(
        "the server's address is link-local and has no zone: add the network interface that leads to "
        "it, as in fe80::1%eth0, and %25 for % in a URL",
        Fault.NO_ROUTE,
    ),
    errno.EAFNOSUPPORT: Lack(
        "this host does not support the kind of the server's address (IPv4 or IPv6)",
        Fault.NO_ROUTE,
    ),
}


def host_lack(error: BaseException) -> Lack | None:
    """Return what this host lacks, if `error` says so."""
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, socket.gaierror):
        return _MEMORY if error.errno == socket.EAI_MEMORY else None
    # TLS has numbers of its own.
    if not isinstance(error, OSError) or hasattr(error, "library"):
        return None
    return _LACKS.get(error.errno or 0)

"""Connects to the first of a server's addresses that answers, within the limit of an exchange.

The library gives each address all of its time-out, so a name with a dozen of them, behind a
firewall that drops, would hold a post for minutes.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import allowed_gai_family

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

    from pattoo_mp.upload.exchange import Guard

#: What one address may take at the most, however much time there is.
ADDRESS_S: Final = 10.0


def connect(connection: HTTPConnection, guard: Guard) -> socket.socket:
    """A socket that is connected to where `connection` is to go, and that `guard` knows.

    Raises `NewConnectionError`, made of what was wrong with the last address that was tried: of an
    error without that name the library may think that an answer has come already.
    """
    guard.failed()
    try:
        sock = _first(connection, guard)
    except OSError as error:
        guard.failed()
        raise NewConnectionError(connection, str(error)) from error
    sock.settimeout(connection.timeout)
    return sock


def _first(connection: HTTPConnection, guard: Guard) -> socket.socket:
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - with a dot at its end, if any
    found = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    wrong: OSError = TimeoutError("timed out")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        left_s = guard.left_s
        if not left_s:
            break
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            wrong = error
            continue
        try:
            guard.connecting(sock)
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            # An even share: one address that drops leaves time for those after it.
            sock.settimeout(min(ADDRESS_S, left_s / (len(found) - place)))
            sock.connect(address)
        except OSError as error:
            wrong = error
            sock.close()
        else:
            return sock
    raise wrong

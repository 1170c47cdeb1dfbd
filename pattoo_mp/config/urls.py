"""What the URLs of servers and proxies say, once they were checked: pure.

The agent's processes need no more, and `addresses`, which checks them, takes half a megabyte.
"""

from __future__ import annotations

from typing import Final

#: What a pattoo server's own paths begin with; a prefix comes before it.
API: Final = "/pattoo/api/v1/agent/"

#: No proxy, whatever the environment names.
DIRECT: Final = "direct"


_PORTS: Final = {"http": 80, "https": 443}


def url(address: str, number: int) -> str:
    """The URL of the server of that address and port, in plain HTTP."""
    return f"http://{in_url(address)}:{number}"


def in_url(address: str) -> str:
    """A checked host name or address as a URL has it: RFC 3986 for IPv6, RFC 6874 for its interface."""
    return f"[{address.replace('%', '%25')}]" if ":" in address else address


def is_https(server: str) -> bool:
    """Whether a checked URL asks for TLS."""
    return server.startswith("https:")


def place(server: str) -> tuple[str, int]:
    """Host and port of a checked URL."""
    scheme, _, rest = server.partition("://")
    where = rest.partition("/")[0]
    host, colon, number = where.rpartition(":")
    if not colon or where.endswith("]"):
        return where.strip("[]"), _PORTS[scheme]
    return host.strip("[]"), int(number)

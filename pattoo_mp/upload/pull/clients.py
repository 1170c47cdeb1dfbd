"""Who counts as one client of an output of kind pull, and how many requests it may make: pure."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Requests at once, and for each second after that, from one client.
BURST: Final = 100
RATE: Final = 20.0
#: For how many clients the rate is known. The one that asked longest ago is forgotten.
_CLIENTS: Final = 256


@dataclass(slots=True)
class Bucket:
    """How many requests a client may make at once, and since when that is known."""

    tokens: float = BURST
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one; return whether there was one."""
        self.tokens = min(BURST, self.tokens + (now - self.at) * RATE)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Shares:
    """The requests that each client may make. `clock` is monotonic, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, client: str) -> bool:
        """Take one of a client's requests; return whether there was one."""
        now = self._clock()
        bucket = self._buckets.pop(client, None) or Bucket(at=now)
        self._buckets[client] = bucket
        while len(self._buckets) > _CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)


def plain_address(address: str) -> str:
    """Return a client's address without its zone; an IPv4 one as such, however it came."""
    plain = address.partition("%")[0]
    return plain.removeprefix("::ffff:") if "." in plain else plain


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    if ":" not in address:
        return address
    return socket.inet_pton(socket.AF_INET6, address)[:8].hex()

"""Asks the pattoo server whether it is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.timelimit import NoAnswerError, TimeLimited
from pattoo_mp.upload.transport import Transport

if TYPE_CHECKING:
    from pattoo_mp.config import Config

#: A person waits for this. A server that is slower than this is in trouble, and so is a resolver.
_EXCHANGE_S: Final = 10.0
_WHOLE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of the question; `error` is empty if the server is well."""

    url: str
    error: str
    round_trip_s: float


def ask(config: Config, exchange_s: float = _EXCHANGE_S, whole_s: float = _WHOLE_S) -> Asked:
    """Ask for the status page as the agent posts: the same session, address and proxies.

    The exchange may take `exchange_s`, and all of it, finding the address too, `whole_s`.
    """
    transport = Transport(config.host, config.port, exchange_s)
    # Nothing else bounds a resolver that hangs.
    limited: TimeLimited[str, str] = TimeLimited(
        "server", lambda _: transport.ask_status(), whole_s
    )
    begun = time.monotonic()
    try:
        error = limited.ask_one(transport.status_url)
    except NoAnswerError as late:
        error = str(late)
    return Asked(transport.status_url, error, time.monotonic() - begun)

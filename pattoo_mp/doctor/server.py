"""Asks the pattoo server whether it is there, and what time it has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import API, host_and_port
from pattoo_mp.doctor.finding import Finding, note, trouble, well
from pattoo_mp.timelimit.deadline import TimeLimited
from pattoo_mp.upload.fault import Fault, advice
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.upload.pattoo.answer import StatusPage

#: A person waits for this. A server that is slower than this is in trouble, and so is a resolver.
_EXCHANGE_S: Final = 10.0
_WHOLE_S: Final = 15.0
#: A server that takes this long for a page of one line takes longer for posts.
_SLOW_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of the question; `error` is empty if the server is well.

    `fault` and `status` are as `StatusPage` has them. `ahead_s` is how far the server's clock is ahead
    of ours, None if it does not say.
    """

    url: str
    error: str
    round_trip_s: float
    ahead_s: float | None = None
    fault: Fault = Fault.UNREACHABLE
    status: int = 0


def ask_each(
    config: Config, exchange_s: float = _EXCHANGE_S, whole_s: float = _WHOLE_S
) -> tuple[Asked, ...]:
    """Ask for the status pages as the agent posts: the same session, address and proxies.

    An exchange may take `exchange_s`, and all of them, finding the addresses too, `whole_s`.
    """

    def look(url: str) -> Asked:
        transport = PattooTransport(url, config.trust, config.proxy, exchange_s)
        begun = time.monotonic()
        page = transport.ask_status()
        took_s = time.monotonic() - begun
        ahead_s = _ahead_s(page, time.time())
        return Asked(transport.status_url, page.error, took_s, ahead_s, page.fault, page.status)

    # Nothing else bounds a resolver that hangs.
    limited: TimeLimited[str, Asked] = TimeLimited("server", look, whole_s)
    answers = limited.ask(config.server_urls)
    return tuple(
        answer
        if isinstance(answer, Asked)
        else Asked(f"{url}{API}status", str(answer), whole_s, fault=Fault.LATE)
        for url, answer in answers.items()
    )


def _ahead_s(page: StatusPage, now_s: float) -> float | None:
    return None if page.date is None else page.date.timestamp() - now_s


def findings(asked: Asked, config: Config) -> Iterator[Finding]:
    """Whether the server is well."""
    took = text.duration(asked.round_trip_s)
    if asked.error:
        yield trouble(
            "server",
            f"{asked.url}: {asked.error} (after {took})",
            f"{_advice(asked, config)}; polls wait in the spool meanwhile",
        )
    elif asked.round_trip_s > _SLOW_S:
        yield note(
            "server", f"{asked.url} is well, but takes {took}", "see what the server is busy with"
        )
    else:
        yield well("server", f"{asked.url} is well, answers within {took}")


def _advice(asked: Asked, config: Config) -> str:
    """What a person may do about an error of this kind."""
    named = "servers" if config.servers else "ip_address and ip_bind_port"
    known = advice(asked.fault, named)
    if known:
        return known
    if asked.status:
        return "what stands before the server has no answer of it: look whether the server runs"
    return (
        f"see that a pattoo server runs where {named} {'names' if config.servers else 'name'} one, "
        f"and that no firewall refuses port {host_and_port(asked.url)[1]} on the way there"
    )

"""Check the pattoo servers: whether each answers, and what time it has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import API, host_and_port
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.timelimit.deadline import TimeLimited
from pattoo_mp.upload.fault import Fault, advice
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.upload.pattoo.answer import StatusPage

#: Time limits of one exchange, and of all of them. A person waits for the result; a server or a name
#: server that is slower than this is in trouble.
_EXCHANGE_S: Final = 10.0
_WHOLE_S: Final = 15.0
#: A server that takes longer than this for a page of one line takes longer still for posts.
_SLOW_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """The result of asking a server for its status page; `error` is empty if it is well.

    `fault` and `status` are those of `StatusPage`. `ahead_s` is how far the server's clock is ahead of
    ours, None if unknown.
    """

    url: str
    error: str
    round_trip_s: float
    ahead_s: float | None = None
    fault: Fault = Fault.UNREACHABLE
    status: int = 0


def check_servers(
    config: Config, exchange_s: float = _EXCHANGE_S, whole_s: float = _WHOLE_S
) -> tuple[ServerCheck, ...]:
    """Ask each server for its status page, with the transport, addresses and proxies of posts.

    One exchange may take `exchange_s`; all of them, with name resolution, may take `whole_s`.
    """

    def check(url: str) -> ServerCheck:
        transport = PattooTransport(url, config.trust, config.proxy, exchange_s)
        begun = time.monotonic()
        page = transport.ask_status()
        took_s = time.monotonic() - begun
        ahead_s = _ahead_s(page, time.time())
        return ServerCheck(
            transport.status_url, page.error, took_s, ahead_s, page.fault, page.status
        )

    # Name resolution has no other time limit.
    limited: TimeLimited[str, ServerCheck] = TimeLimited("server", check, whole_s)
    answers = limited.ask(config.server_urls)
    return tuple(
        answer
        if isinstance(answer, ServerCheck)
        else ServerCheck(f"{url}{API}status", str(answer), whole_s, fault=Fault.LATE)
        for url, answer in answers.items()
    )


def _ahead_s(page: StatusPage, now_s: float) -> float | None:
    return None if page.date is None else page.date.timestamp() - now_s


def findings(checked: ServerCheck, config: Config) -> Iterator[Finding]:
    """Yield a finding on the server's health and response time."""
    took = text.duration(checked.round_trip_s)
    if checked.error:
        yield trouble(
            "server",
            f"{checked.url}: {checked.error} (after {took})",
            f"{_advice(checked, config)}; until then polls wait in the spool",
        )
    elif checked.round_trip_s > _SLOW_S:
        yield note(
            "server",
            f"{checked.url} is slow: it answered after {took}",
            "find out what the server is busy with",
        )
    else:
        yield ok("server", f"{checked.url} answered within {took}")


def _advice(checked: ServerCheck, config: Config) -> str:
    """Return advice on this kind of failure."""
    named = "servers" if config.servers else "ip_address and ip_bind_port"
    known = advice(checked.fault, named)
    if known:
        return known
    if checked.status:
        return "the proxy got no response from the server: check whether the server runs"
    return (
        f"check that a pattoo server runs at the address in {named}, "
        f"and that no firewall blocks port {host_and_port(checked.url)[1]}"
    )

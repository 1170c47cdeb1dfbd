"""Check the servers of all outputs: whether each answers, and what time it has."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.host_checks import missing_for_remote_write
from pattoo_mp.config.values import API, PATTOO, PULL, host_and_port
from pattoo_mp.doctor.finding import Finding, note, ok, trouble
from pattoo_mp.timelimit.deadline import TimeLimited
from pattoo_mp.upload.fault import Fault, advice
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.upload.pull.output import listen, why_not
from pattoo_mp.util import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.upload.pattoo.answer import StatusPage

#: Time limits of one exchange, and of all of them. A person waits for the result; a server or a name
#: server that is slower than this is in trouble.
_EXCHANGE_S: Final = 10.0
_WHOLE_S: Final = 15.0
#: A server that takes longer than this for a page of one line takes longer still for posts.
_SLOW_S: Final = 1.0
#: What stands for every address of this host, and one of them.
_LOCAL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """The result of asking a server for its status page; `error` is empty if it is well.

    `output` is the one whose server it is. `fault` and `status` are those of `StatusPage`. `ahead_s` is how far the server's clock is ahead of
    ours, None if unknown.
    """

    url: str
    error: str
    round_trip_s: float
    ahead_s: float | None = None
    fault: Fault = Fault.UNREACHABLE
    status: int = 0
    output: Output | None = None


def check_servers(
    config: Config, exchange_s: float = _EXCHANGE_S, whole_s: float = _WHOLE_S
) -> tuple[ServerCheck, ...]:
    """Ask each server of each output, with the transport, addresses and proxies of posts.

    A pattoo server is asked for its status page; another one gets a request without any series.

    One exchange may take `exchange_s`; all of them, with name resolution, may take `whole_s`.
    """
    posting = [output for output in config.outputs if output.kind != PULL]
    asked = {(output.name, url): output for output in posting for url in output.urls}

    def check(key: tuple[str, str]) -> ServerCheck:
        output, url = asked[key], key[1]
        ask = _ask_pattoo if output.kind == PATTOO else _ask_remote_write
        return replace(ask(output, url, exchange_s), output=output)

    # Name resolution has no other time limit.
    limited: TimeLimited[tuple[str, str], ServerCheck] = TimeLimited("server", check, whole_s)
    answers = limited.ask(list(asked))
    return tuple(
        answer
        if isinstance(answer, ServerCheck)
        else ServerCheck(
            f"{key[1]}{API}status" if asked[key].kind == PATTOO else key[1],
            str(answer),
            whole_s,
            fault=Fault.LATE,
            output=asked[key],
        )
        for key, answer in answers.items()
    )


def _ask_pattoo(output: Output, url: str, exchange_s: float) -> ServerCheck:
    transport = PattooTransport(url, output.trust, output.proxy, exchange_s)
    begun = time.monotonic()
    page = transport.ask_status()
    took_s = time.monotonic() - begun
    ahead_s = _ahead_s(page, time.time())
    return ServerCheck(transport.status_url, page.error, took_s, ahead_s, page.fault, page.status)


def _ask_remote_write(output: Output, url: str, exchange_s: float) -> ServerCheck:
    """Send a request without any series, which every receiver takes and stores nothing of."""
    missing = missing_for_remote_write()
    if missing:
        return ServerCheck(url, missing, 0.0, fault=Fault.OURS)
    # The library for it is an extra.
    from pattoo_mp.upload.remote_write.transport import (  # noqa: PLC0415
        RemoteWriteTransport,
        compressed,
    )

    headers = dict(output.headers)
    transport = RemoteWriteTransport(url, output.trust, output.proxy, exchange_s, headers)
    begun = time.monotonic()
    outcome = transport.post("", compressed(b""))
    return ServerCheck(url, outcome.error, time.monotonic() - begun, fault=outcome.fault)


def _ahead_s(page: StatusPage, now_s: float) -> float | None:
    return None if page.date is None else page.date.timestamp() - now_s


def findings(checked: ServerCheck, config: Config) -> Iterator[Finding]:
    """Yield a finding on the server's health and response time."""
    several = len(config.outputs) > 1 and checked.output is not None
    subject = f"server of {checked.output.name}" if several and checked.output else "server"
    took = text.duration(checked.round_trip_s)
    if checked.error:
        yield trouble(
            subject,
            f"{checked.url}: {checked.error} (after {took})",
            f"{_advice(checked, config)}; until then polls wait in the spool",
        )
    elif checked.round_trip_s > _SLOW_S:
        yield note(
            subject,
            f"{checked.url} is slow: it answered after {took}",
            "find out what the server is busy with",
        )
    else:
        yield ok(subject, f"{checked.url} answered within {took}")


def listening_findings(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """Yield findings on each output that listens: whether it does, or could if the agent were started."""
    for output in config.outputs:
        if output.kind != PULL:
            continue
        subject = f"output {output.name}"
        error = _no_answer(output.listen) if is_running else _no_port(output.listen)
        if error and is_running:
            yield trouble(subject, f"nothing answers at {output.listen}: {error}", "see --status")
        elif error:
            yield trouble(
                subject,
                f"cannot listen at {output.listen}: {error}",
                f"ss -ltnp shows who does; set {output.named_by} if it is to be another address",
            )
        else:
            yield ok(
                subject,
                f"{'something answers' if is_running else 'can listen'} at {output.urls[0]}",
            )
        if output.is_exposed:
            yield note(
                subject,
                "others than this host get the page of an original spoke, and nothing else",
                "set allow or tokens_file if they are to get more, or listen at 127.0.0.1",
            )


def _no_answer(where: str) -> str:
    host, port = host_and_port(f"http://{where}")
    host = host.replace("%25", "%")  # as in a URL, before the zone of an address
    try:
        socket.create_connection((_LOCAL.get(host, host), port), _EXCHANGE_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _no_port(where: str) -> str:
    try:
        listen(where).close()
    except OSError as error:
        return why_not(error)
    return ""


def _advice(checked: ServerCheck, config: Config) -> str:
    """Return advice on this kind of failure."""
    output = checked.output or config.outputs[0]
    named = output.named_by
    known = advice(checked.fault, named)
    if known:
        return known
    if checked.status:
        return "the proxy got no response from the server: check whether the server runs"
    return (
        f"check that a {'pattoo server' if output.kind == PATTOO else 'server'} runs at the address in {named}, "
        f"and that no firewall blocks port {host_and_port(checked.url)[1]}"
    )

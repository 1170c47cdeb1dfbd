"""Exchanges of a hub with a spoke: bounded in time and size, whatever the spoke does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.spokes import exchange as module
from pattoo_mp.collect.spokes.exchange import Answer, AskError, Exchanger, request
from pattoo_mp.config.secrets import tls_context
from pattoo_mp.config.values import Trust
from pattoo_mp.ipc.messages import SpokeState
from tests.support.ports import dropping_port, free_port
from tests.support.tls import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REQUEST = request("GET", "/", "spoke", close=True)
OK = b"HTTP/1.1 200 OK\r\n"


def ask(serve: Serve, *requests: bytes, exchange_s: float = 10.0) -> list[Answer]:
    """Make an exchange with a spoke that behaves as `serve` does."""

    async def run() -> list[Answer]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            exchanger = Exchanger(exchange_s)
            return await exchanger.exchange("127.0.0.1", port, requests or [REQUEST])
        finally:
            server.close()

    return asyncio.run(run())


def sending(*parts: bytes, pause_s: float = 0.0) -> Serve:
    """Send these parts, some time apart, and close the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
        writer.close()

    return serve


async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Never answer."""
    with contextlib.suppress(OSError):
        await reader.read()


async def confused(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the beginning of TLS for a bad request."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send without end."""
    with contextlib.suppress(OSError):
        writer.write(OK + b"\r\n")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([OK + b"Content-Length: 2\r\n\r\n", b"ok"], b"ok"),
        ([OK + b"\r\n", b"until", b" the end"], b"until the end"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2;x\r\nde\r\n0\r\nA: b\r\n\r\n"], b"abcde"),
        ([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"small")], b"small"),
        ([b"HTTP/1.0 204 \r\nX: y\r\n\r\n"], b""),
    ],
)  # fmt: skip
def test_every_way_to_send_a_body_is_understood(parts: list[bytes], body: bytes) -> None:
    """Proxies and other servers have other ways than ours."""
    assert ask(sending(*parts))[0].body == body


def test_several_requests_share_a_connection() -> None:
    """Their answers come in order."""
    answers = ask(
        sending(b"HTTP/1.1 204 No\r\n\r\n", OK + b"Content-Length: 1\r\n\r\nx"), REQUEST, REQUEST
    )
    assert [(answer.status, answer.body) for answer in answers] == [(204, b""), (200, b"x")]


@pytest.mark.parametrize(
    ("serve", "state", "why"),
    [
        (hanging, SpokeState.SLOW, "no whole answer within 500 ms"),
        (sending(*[b"H"] * 100, pause_s=0.1), SpokeState.SLOW, "no whole answer"),
        (sending(OK, *[b"A: b\r\n"] * 100, pause_s=0.1), SpokeState.SLOW, "no whole answer"),
        (endless, SpokeState.REFUSING, "larger than 8.4 MB"),
        (sending(b"\xff" * 20000), SpokeState.REFUSING, "not HTTP"),
        (sending(b"SSH-2.0-x\r\n\r\n"), SpokeState.REFUSING, "not HTTP"),
        (sending(OK + b"A: " + b"b" * 40000), SpokeState.REFUSING, "not HTTP"),
        (sending(OK + b"Content-Length: 5\r\n\r\nabc"), SpokeState.REFUSING, "ended within"),
        (sending(OK + b"Content-Length: -5\r\n\r\nabc"), SpokeState.REFUSING, "not HTTP"),
        (sending(OK + b"Content-Length: 99999999999\r\n\r\n"), SpokeState.REFUSING, "larger than"),
        (sending(OK + b"Content-Encoding: br\r\n\r\nx"), SpokeState.REFUSING, "encoded as br"),
        (sending(OK + b"Content-Encoding: gzip\r\n\r\nno gzip"), SpokeState.REFUSING, "no valid gzip"),
        (sending(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 99)[:-9]), SpokeState.REFUSING, "no whole gzip"),
        (sending(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * (9 << 20))), SpokeState.REFUSING, "larger than"),
        (sending(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), SpokeState.REFUSING, "not HTTP"),
        (sending(), SpokeState.REFUSING, "ended within"),
    ],
)  # fmt: skip
def test_what_a_spoke_does_ends_in_time_with_its_reason(
    serve: Serve, state: SpokeState, why: str
) -> None:
    """Nothing of it is believed."""
    with pytest.raises(AskError, match=why) as caught:
        ask(serve, exchange_s=0.5 if state is SpokeState.SLOW else 20.0)
    assert caught.value.state is state


def test_a_spoke_that_is_not_there_is_away() -> None:
    """Whether it refuses, does not answer, or has no address."""
    with dropping_port() as silent:
        for where, port, why in (
            ("127.0.0.1", free_port(), "Connection refused"),
            ("127.0.0.1", silent, "no connection within 500 ms"),
            ("nowhere.invalid", 5000, "its name is unknown|no connection"),
        ):
            with pytest.raises(AskError, match=why) as caught:
                asyncio.run(Exchanger(0.5).exchange(where, port, [REQUEST]))
            assert caught.value.state is SpokeState.AWAY


def test_large_answers_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it those are cut that are larger than usual ones, so that the others go on."""
    monkeypatch.setattr(module, "_HELD_BYTES", 400_000)
    monkeypatch.setattr(module, "_FAIR_BYTES", 100_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            size = 50_000 if b"small" in await reader.readuntil(b"\r\n\r\n") else 350_000
            writer.write(OK + f"Content-Length: {size}\r\n\r\n".encode())
            writer.write(b"x" * (size - 1))
            await writer.drain()
            await asyncio.sleep(0.5)
            writer.write(b"x")
            await writer.drain()

    async def run() -> list[list[Answer] | BaseException]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        exchanger = Exchanger()
        paths = ("/large", "/large", "/small", "/small")
        asked = [
            exchanger.exchange("127.0.0.1", port, [request("GET", path, "spoke", close=True)])
            for path in paths
        ]
        found = await asyncio.gather(*asked, return_exceptions=True)
        server.close()
        return found

    first, second, *small = asyncio.run(run())
    assert any(isinstance(one, AskError) for one in (first, second))
    assert [len(one[0].body) for one in small if isinstance(one, list)] == [50_000, 50_000]


def test_a_name_is_looked_up_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs later costs nothing."""
    asked: list[str] = []

    def lookup(name: str, *_: object, **__: object) -> list[object]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    async def run() -> list[str]:
        names = module.Names()
        return [
            await names.address("spoke1"),
            await names.address("spoke1"),
            await names.address("::1"),
        ]

    assert asyncio.run(run()) == ["127.0.0.1", "127.0.0.1", "::1"]
    assert asked == ["spoke1"]


def test_tls_is_checked_as_everywhere(tmp_path: Path) -> None:
    """A certificate of another CA is refused, and so is a spoke without TLS."""
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")

    async def run(server_context: ssl.SSLContext | None, ca: Path) -> list[Answer]:
        serve = sending(OK + b"Content-Length: 2\r\n\r\nok") if server_context else confused
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        context = tls_context(Trust(ca))
        try:
            return await Exchanger(5.0).exchange("127.0.0.1", port, [REQUEST], context)
        finally:
            server.close()

    assert asyncio.run(run(ours.server(), ours.file))[0].body == b"ok"
    for server_context, why in (
        (others.server(), "certificate is not accepted"),
        (None, "TLS failed"),
    ):
        with pytest.raises(AskError, match=why) as caught:
            asyncio.run(run(server_context, ours.file))
        assert caught.value.state is SpokeState.REFUSING

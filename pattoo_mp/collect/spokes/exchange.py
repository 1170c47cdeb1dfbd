"""One exchange with a spoke over HTTP/1.1, on asyncio. All of it is bounded, since a spoke may be hostile.

An exchange is one connection: one or two requests, sent together, and their answers. It has a time limit for
the whole, name and connection included. An answer has a bound on its head, its body, and the body without
compression. All bodies that are being read have one in common, so that the largest ones are cut first. No
redirect is followed, no cookie kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.util.text import duration, printable, size

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

#: The time limit for a whole exchange (s).
EXCHANGE_S: Final = 10.0
_HEAD_BYTES: Final = 16 << 10
#: The largest body. The page of a host with 3,000 mounts has 4 MB.
BODY_BYTES: Final = 8 << 20
#: All bodies that are being read; beyond that, those larger than `_FAIR_BYTES` are cut.
_HELD_BYTES: Final = 64 << 20
_FAIR_BYTES: Final = 256 << 10
_READ_BYTES: Final = 64 << 10
#: How long the address of a name is used (s), also if it cannot be looked up again.
_NAME_S: Final = 300.0
#: Names that are looked up at a time: a lookup may hang, and Python has no other way than a thread.
_LOOKUPS: Final = 32
_BAD_STATUS: Final = "answered something that is not HTTP"


class AskError(Exception):
    """The spoke could not be asked, or did not answer in a usable way; `state` says what that makes it."""

    def __init__(self, state: SpokeState, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.state = state
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, the headers with names in lower case, and the body without compression."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Names:
    """The addresses of names. A name whose lookup fails or hangs keeps its last address."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="names")
        self._known: dict[str, tuple[float, str]] = {}
        self._pending: dict[str, asyncio.Future[str]] = {}

    async def address(self, name: str) -> str:
        """Return an address of a name. Raises `AskError`."""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name.partition("%")[0])
            return name
        due, known = self._known.get(name, (0.0, ""))
        if known and time.monotonic() < due:
            return known
        lookup = self._pending.get(name) or self._begin(name)
        if known:  # the new one is for the next time
            return known
        try:
            return await asyncio.shield(lookup)
        except OSError as error:
            raise AskError(SpokeState.AWAY, f"its name is unknown ({error.strerror})") from None

    def _begin(self, name: str) -> asyncio.Future[str]:
        loop = asyncio.get_running_loop()
        found = self._pending[name] = loop.run_in_executor(self._pool, _lookup, name)
        found.add_done_callback(lambda done: self._end(name, done))
        return found

    def _end(self, name: str, done: asyncio.Future[str]) -> None:
        del self._pending[name]
        if not done.cancelled() and done.exception() is None:
            self._known[name] = time.monotonic() + _NAME_S, done.result()


def _lookup(name: str) -> str:
    import socket  # noqa: PLC0415 - in this thread only

    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


class Exchanger:
    """Makes exchanges. `names` looks up the names of all."""

    def __init__(self, exchange_s: float = EXCHANGE_S) -> None:
        self.exchange_s = exchange_s
        self.names = Names()
        self._held = 0

    async def exchange(
        self,
        address: str,
        port: int,
        requests: Sequence[bytes],
        context: ssl.SSLContext | None = None,
    ) -> list[Answer]:
        """Send requests over a connection of their own, and return their answers.

        There are fewer answers if an earlier one says that the connection ends. Raises `AskError`.
        """
        stage = [SpokeState.AWAY]
        try:
            async with asyncio.timeout(self.exchange_s):
                return await self._exchange(address, port, requests, context, stage)
        except TimeoutError:
            what = "no connection" if stage[0] is SpokeState.AWAY else "no whole answer"
            raise AskError(stage[0], f"{what} within {duration(self.exchange_s)}") from None
        except OSError as error:
            raise _failed(error, stage[0]) from None
        except (asyncio.IncompleteReadError, EOFError):
            raise AskError(SpokeState.REFUSING, "the connection ended within an answer") from None
        except (asyncio.LimitOverrunError, ValueError):
            raise AskError(SpokeState.REFUSING, _BAD_STATUS) from None

    async def _exchange(
        self,
        address: str,
        port: int,
        requests: Sequence[bytes],
        context: ssl.SSLContext | None,
        stage: list[SpokeState],
    ) -> list[Answer]:
        where = await self.names.address(address)
        reader, writer = await asyncio.open_connection(
            where,
            port,
            limit=_HEAD_BYTES,
            ssl=context,
            server_hostname=None if context is None else address,
        )
        stage[0] = SpokeState.SLOW
        try:
            writer.write(b"".join(requests))
            answers = []
            for _ in requests:
                answer, more = await self._answer(reader)
                answers.append(answer)
                if not more:
                    break
            return answers
        finally:
            # Without waiting: a spoke that does not read would hold us up.
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Answer, bool]:
        """Read one answer. Return it, and whether another one may follow."""
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        body, ends = await self._body(reader, status, headers)
        ends = ends or headers.get("connection", "").lower() == "close"
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding == "gzip":
            body = _decompressed(body)
        elif encoding != "identity":
            raise AskError(SpokeState.REFUSING, f"its answer is encoded as {shown(encoding)}")
        return Answer(status, headers, body), not ends

    async def _body(
        self, reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
    ) -> tuple[bytes, bool]:
        """Return the body, and whether the connection has ended with it."""
        if status in {204, 304}:
            return b"", False
        body = bytearray()
        try:
            if "transfer-encoding" in headers:
                if headers["transfer-encoding"].lower() != "chunked":
                    raise ValueError("an unknown transfer encoding")
                await self._chunks(reader, body)
                return bytes(body), False
            if "content-length" not in headers:
                await self._read(reader, None, body)
                return bytes(body), True
            length = headers["content-length"]
            if not length.isdecimal() or len(length) > 18:
                raise ValueError("a bad length")
            await self._read(reader, int(length), body)
            return bytes(body), False
        finally:
            self._held -= len(body)

    async def _chunks(self, reader: asyncio.StreamReader, body: bytearray) -> None:
        while True:
            line = await reader.readuntil(b"\r\n")
            length = int(line.partition(b";")[0].strip() or b"x", 16)
            if length < 0 or len(line) > 200:
                raise ValueError("a bad chunk")
            if not length:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return
            await self._read(reader, length, body)
            await reader.readexactly(2)

    async def _read(
        self, reader: asyncio.StreamReader, length: int | None, body: bytearray
    ) -> None:
        """Read so much, or until the end if the length is None, into `body`."""
        if length is not None and len(body) + length > BODY_BYTES:
            raise _too_large()
        left = BODY_BYTES + 1 if length is None else length
        while left:
            part = await reader.read(min(left, _READ_BYTES))
            if not part:
                if length is None:
                    return
                raise EOFError
            body += part
            self._held += len(part)
            left -= len(part)
            if len(body) > BODY_BYTES:
                raise _too_large()
            if self._held > _HELD_BYTES and len(body) > _FAIR_BYTES:
                raise AskError(
                    SpokeState.REFUSING,
                    f"its answer is one of too many large ones at a time ({size(_HELD_BYTES)})",
                )


def request(
    method: str,
    path: str,
    host: str,
    *,
    token: str = "",
    content: bytes | None = None,
    close: bool = False,
) -> bytes:
    """Return a request as bytes. `host` is that of the URL, with its port; `token` the whole header value.

    With `close` it is the last one of its connection.
    """
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: pattoo_agent_os_hubd",
        "Accept-Encoding: gzip",
    ]
    if close:
        lines.append("Connection: close")
    if token:
        lines.append(f"Authorization: {token}")
    if content is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")


def shown(text: str) -> str:
    """Return a short text from outside as it may be logged."""
    return printable(text[:80])


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers. Raises `ValueError`."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not code.isdecimal() or len(code) < 3:
        raise ValueError("no status line")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(code), headers


def _decompressed(body: bytes) -> bytes:
    inflate = zlib.decompressobj(31)
    try:
        content = inflate.decompress(body, BODY_BYTES + 1)
    except zlib.error:
        raise AskError(SpokeState.REFUSING, "its answer is no valid gzip") from None
    if len(content) > BODY_BYTES:
        raise _too_large()
    if not inflate.eof:
        raise AskError(SpokeState.REFUSING, "its answer is no whole gzip")
    return content


def _too_large() -> AskError:
    return AskError(SpokeState.REFUSING, f"its answer is larger than {size(BODY_BYTES)}")


def _failed(error: OSError, state: SpokeState) -> AskError:
    """Return what is known of a failed connection."""
    if verify := getattr(error, "verify_message", ""):
        return AskError(SpokeState.REFUSING, f"its certificate is not accepted: {shown(verify)}")
    if reason := getattr(error, "reason", ""):
        words = str(reason).replace("_", " ").lower()
        return AskError(SpokeState.REFUSING, f"TLS failed: {shown(words)}")
    # asyncio's own text of a failed connection repeats the address.
    known = error.errno is not None and error.errno > 0
    why = os.strerror(error.errno or 0) if known else error.strerror or type(error).__name__
    what = "cannot be reached" if state is SpokeState.AWAY else "broke off"
    return AskError(state, f"{what}: {shown(why)}")

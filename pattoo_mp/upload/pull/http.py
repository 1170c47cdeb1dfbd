"""HTTP/1.1 as an output of kind pull speaks it: bytes to requests, answers to bytes. No I/O.

Only what the pages need is taken (RFC 9112): no chunked bodies, no `Expect`, and nothing that two readers
could understand in two ways. All of it is bounded; a request that is not well made ends its connection.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The longest request line, the longest head with it, and the longest body (bytes).
LINE_BYTES: Final = 4096
HEAD_BYTES: Final = 8192
BODY_BYTES: Final = 1000

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

_HEAD_END: Final = b"\r\n\r\n"
_LINE: Final = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/(\d)\.(\d)")
_HEADER: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*"
)
_ABSOLUTE: Final = re.compile(r"(?i:https?)://[^/?#]+")
_LENGTH: Final = re.compile(r"\d{1,9}")
#: Headers that may be there once only: a second one would be read by somebody else.
_SINGLE: Final = frozenset({"host", "content-length", "authorization", "content-type"})
_MAX_PARAMETERS: Final = 10
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class RefusedError(Exception):
    """A request that is not answered as asked: the status, and one line on what was expected.

    With `closes`, nothing after it on the connection is to be believed.
    """

    def __init__(
        self,
        status: HTTPStatus,
        line: str,
        headers: Mapping[str, str] | None = None,
        *,
        closes: bool = False,
    ) -> None:
        super().__init__(line)
        self.answer = Answer(status, f"{line}\n".encode(), TEXT, dict(headers or {}), closes=closes)


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Names of headers are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the query. Raises `RefusedError` if one is there twice."""
        try:
            pairs = parse_qsl(
                self.query,
                keep_blank_values=True,
                strict_parsing=bool(self.query),
                max_num_fields=_MAX_PARAMETERS,
            )
        except ValueError as error:
            raise bad(f"the query is not well formed: {error}") from None
        found = dict(pairs)
        if len(found) < len(pairs):
            raise bad("a parameter is there twice; expected each once")
        return found

    def accepts(self, coding: str) -> bool:
        """Whether the answer may have this content coding."""
        for word in self.headers.get("accept-encoding", "").lower().split(","):
            name, _, weight = word.partition(";")
            if name.strip() == coding:
                return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `closes`: the connection ends after it."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    closes: bool = False

    def packed(self, *, with_body: bool = True, keep_alive: bool = True) -> bytes:
        """Return it as bytes, without its body for a HEAD."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Date: {_date(time.time())}",
        ]
        if self.content_type:
            lines += [f"Content-Type: {self.content_type}", "X-Content-Type-Options: nosniff"]
        if self.status is not HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {text}" for name, text in self.headers.items()]
        if self.closes or not keep_alive:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("ascii", "replace")
        return head + self.body if with_body else head


def bad(line: str) -> RefusedError:
    """Return what refuses a request whose content is wrong; the connection goes on."""
    return RefusedError(HTTPStatus.BAD_REQUEST, line)


def _ends(status: HTTPStatus, line: str) -> RefusedError:
    return RefusedError(status, line, closes=True)


def take(buffer: bytearray) -> Request | None:
    """Take the first request out of `buffer`; None if it is not whole yet.

    Raises `RefusedError` if it never can be one, or is one that is not taken; the connection ends then.
    """
    # RFC 9112, 2.2: some clients send a line end too many. Who sends nothing else could go on for ever.
    if buffer.startswith(b"\r\n"):
        del buffer[:2]
    end = buffer.find(_HEAD_END, 0, HEAD_BYTES + len(_HEAD_END))
    if end < 0:
        _require_short(buffer)
        return None
    head = bytes(buffer[:end])
    _require_short(head)
    request = _head(head)
    length = _body_length(request.headers)
    begin = end + len(_HEAD_END)
    if len(buffer) < begin + length:
        return None
    body = bytes(buffer[begin : begin + length])
    del buffer[: begin + length]
    return replace(request, body=body) if body else request


def _require_short(head: bytes | bytearray) -> None:
    first = head.find(b"\r\n", 0, LINE_BYTES + 2)
    # A line end may have come in part.
    if first < 0 and len(head) > LINE_BYTES + 1:
        raise _ends(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            f"expected a request line of at most {LINE_BYTES} bytes",
        )
    if len(head) > HEAD_BYTES + len(_HEAD_END) - 1:
        raise _ends(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"expected headers of at most {HEAD_BYTES} bytes",
        )


def _head(head: bytes) -> Request:
    first, *rest = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise _ends(HTTPStatus.BAD_REQUEST, "expected a request line such as GET / HTTP/1.1")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise _ends(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "expected HTTP/1.1")
    headers = _headers(rest)
    is_1_1 = minor != b"0"
    if is_1_1 and "host" not in headers:
        raise _ends(HTTPStatus.BAD_REQUEST, "expected a header Host")
    if "transfer-encoding" in headers:
        raise _ends(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length, not Transfer-Encoding")
    if "expect" in headers:
        raise _ends(HTTPStatus.EXPECTATION_FAILED, "expected no header Expect")
    path, _, query = _origin_form(target.decode("ascii")).partition("?")
    options = headers.get("connection", "").lower().replace(" ", "").split(",")
    keep_alive = "close" not in options if is_1_1 else "keep-alive" in options
    return Request(method.decode(), path, query, headers, keep_alive=keep_alive)


def _origin_form(target: str) -> str:
    """Return the path and the query of a request's target: proxies may send a whole URL."""
    absolute = _ABSOLUTE.match(target)
    path = (target[absolute.end() :] or "/") if absolute else target
    if path.startswith("?"):
        path = f"/{path}"
    if not path.startswith("/"):
        raise _ends(HTTPStatus.BAD_REQUEST, "expected a path that begins with /")
    return path.partition("#")[0]


def _headers(lines: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _ends(HTTPStatus.BAD_REQUEST, "expected headers of the form Name: value")
        name, value = header[1].decode().lower(), header[2].decode("latin-1")
        if name in found and name in _SINGLE:
            raise _ends(HTTPStatus.BAD_REQUEST, f"expected the header {name} once")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _body_length(headers: Mapping[str, str]) -> int:
    given = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(given):
        raise _ends(HTTPStatus.BAD_REQUEST, "expected a number as Content-Length")
    if int(given) > BODY_BYTES:
        raise _ends(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {BODY_BYTES} bytes"
        )
    return int(given)


def _date(moment: float) -> str:
    """Return a time as HTTP writes it, in any locale."""
    t = time.gmtime(moment)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )

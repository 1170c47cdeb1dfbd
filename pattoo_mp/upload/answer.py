"""What an HTTP answer means, whatever kind of server was asked: pure.

The server itself may have answered, a proxy before it, or something else entirely.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from pattoo_mp.upload.fault import Fault

#: Whoever asks for more is believed so far: a wrong header must not silence an agent for days.
MAX_RETRY_AFTER_S: Final = 600.0

_SECONDS: Final = re.compile(r"[0-9]+")
#: Servers answer a post with a line; a longer answer is a web page of something else.
ANSWER_BYTES: Final = 4096

_QUOTED: Final = 80
#: What proxies say of who may not pass; pattoo itself asks nobody who he is.
_DENIED: Final = {
    401: "the server wants credentials, or rejects these: see credentials_file",
    403: "the server does not let this agent post: see credentials_file, and what stands before "
    "the server",
    407: "the proxy wants credentials, or rejects these: see proxy_credentials_file",
}
#: What is in the page of a proxy that answers 400 where TLS is not as it wants it.
_NOT_AS_WANTED: Final = {
    b"no required ssl certificate": (
        "the server wants a certificate of us: name one in tls_certificate_file"
    ),
    b"the ssl certificate error": (
        "the server refuses our certificate: see tls_certificate_file, and whom the server trusts"
    ),
    b"plain http": "the server speaks TLS there: the URL in servers has to begin with https",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a post: `error` is empty if, and only if, the server has taken it.

    `fault` says of what kind an error is, and `retry_after_s` how long the server wants to be
    left alone at the least. Of an error that is late `reached` says whether somebody was there to
    take the post: only then it may have been too much for the way, or for the server.
    """

    error: str = ""
    fault: Fault = Fault.UNREACHABLE
    retry_after_s: float = 0.0
    reached: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the server has taken the post."""
        return not self.error


class FailedError(Exception):
    """An exchange, or what was to come of it, failed: `outcome` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, or as much of it as was read. `date` and `location` are as in its head.

    Where a secret went out with the question its words are not quoted: they may be our own.
    """

    status: int
    reason: str
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    is_quotable: bool = True
    location: str | None = None

    def failure(self, expected: str) -> Outcome:
        """What this means where `expected` was, and did not come."""
        wait_s = retry_after_s(self.retry_after, datetime.now(UTC))
        is_busy = self.fault is Fault.BUSY
        error, wait_s = self.describe(expected), wait_s if is_busy else 0.0
        return Outcome(error, self.fault, wait_s, reached=True)

    def describe(self, expected: str) -> str:
        """What came where `expected` was, in one line, made printable."""
        if self._denied:
            return f"status {self.status} {_phrase(self.status)}: {self._denied}"
        if len(self.body) > ANSWER_BYTES:
            return f"status {self.status}{self._elsewhere} with a page; expected {expected}"
        if not self.is_quotable:
            return f"status {self.status} {_phrase(self.status)}, not quoted; expected {expected}"
        text = self.body.decode("ascii", "backslashreplace").strip()[:_QUOTED]
        if self.status != 200:
            reason = one_line(self.reason)[:_QUOTED]
            return f"status {self.status} {reason}{self._elsewhere}: {text!r}"
        return f"status 200 with {text!r}; expected {expected}"

    @property
    def _elsewhere(self) -> str:
        """Where a redirect leads: to see what our URL lacks, which is most often that it is https."""
        if not self.location or not self.is_quotable or not 300 <= self.status < 400:
            return ""
        return f" to {self.location[:_QUOTED]!a}"

    @property
    def fault(self) -> Fault:
        """The kind of failure that this answer is, if it is one."""
        return Fault.DENIED if self._denied else _fault(self.status)

    @property
    def _denied(self) -> str:
        """What a person has to see to, if the answer says that we may not pass."""
        if self.status == 400:
            page = self.body.lower()
            return next((said for mark, said in _NOT_AS_WANTED.items() if mark in page), "")
        return _DENIED.get(self.status, "")


def _phrase(status: int) -> str:
    """What a status is called by those who made it (RFC 9110), whatever the server calls it."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"


def one_line(text: str) -> str:
    """Words of a server's, fit for a log and a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _fault(status: int) -> Fault:
    match status:
        case 500:
            return Fault.REFUSED
        case 413:
            return Fault.TOO_LARGE
        case 429 | 503:
            return Fault.BUSY
        case 408 | 504:  # to a proxy we were late, or the server behind it was
            return Fault.LATE
    return Fault.NOT_PATTOO if status < 500 else Fault.UNREACHABLE


def http_date(text: str | None) -> datetime | None:
    """The time in a header (RFC 9110, section 5.6.7), in UTC; None where it holds none."""
    try:
        moment = parsedate_to_datetime(text or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds to wait from `now` by the header `Retry-After` (RFC 9110, section 10.2.3).

    At most `MAX_RETRY_AFTER_S`; 0 where the header says nothing usable.
    """
    text = (header or "").strip()
    asked = float(text) if _SECONDS.fullmatch(text) else _until(text, now)
    return min(MAX_RETRY_AFTER_S, max(0.0, asked))


def _until(text: str, now: datetime) -> float:
    moment = http_date(text)
    return 0.0 if moment is None else (moment - now).total_seconds()

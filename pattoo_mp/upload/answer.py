"""The meaning of an HTTP answer, from the server, a proxy, or something else. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from pattoo_mp.upload.fault import Fault

#: The longest delay that a server may ask for: a wrong header must not silence an agent for days.
MAX_RETRY_AFTER_S: Final = 600.0

_SECONDS: Final = re.compile(r"[0-9]+")
#: Servers answer a post with one line. A longer answer is a web page from something else.
ANSWER_BYTES: Final = 4096

_QUOTED: Final = 80
_WARNING: Final = 300
_TITLE: Final = re.compile(rb"<title>([^<]{1,400})", re.IGNORECASE)
#: Answers of proxies that deny access; pattoo itself has no authentication.
_DENIED: Final = {
    401: "the server requires credentials, or rejects ours: see credentials_file",
    403: "the server does not let this agent post: see credentials_file, and any proxy in front of "
    "the server",
    407: "the proxy requires credentials, or rejects ours: see proxy_credentials_file",
}
#: Phrases on the page of a proxy that answers 400 for a reason of TLS.
_TLS_PAGES: Final = {
    b"no required ssl certificate": (
        "the server requires a client certificate: name one in tls_certificate_file"
    ),
    b"the ssl certificate error": (
        "the server refuses our certificate: see tls_certificate_file, and the CAs that the server "
        "trusts"
    ),
    b"plain http": "the server expects TLS on this port: its URL must begin with https",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a post. `error` is empty if, and only if, the server accepted it.

    `fault` is the kind of the error, and `retry_after_s` the shortest delay that the server asked
    for. For a late answer, `reached` says whether there was a connection to post on: only then may
    the post have been too large for the network or the server. `warning` is what a server that accepted
    the post has to say about it, in one line.
    """

    error: str = ""
    fault: Fault = Fault.UNREACHABLE
    retry_after_s: float = 0.0
    reached: bool = False
    warning: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the server accepted the post."""
        return not self.error


class FailedError(Exception):
    """An exchange failed, or could not be used; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, or as much of it as was read. `date`, `location` and `warning` are raw headers.

    `cookie` is the server's cookie for its session, as a name and a value, if the answer sets one.

    With `is_quotable` false, the request held a secret, which the answer may repeat: do not quote
    it.
    """

    status: int
    reason: str
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    is_quotable: bool = True
    location: str | None = None
    cookie: str = ""
    warning: str = ""

    @property
    def accepted(self) -> Outcome:
        """The outcome of an answer that is the expected one."""
        return Outcome(warning=one_line(self.warning)[:_WARNING] if self.is_quotable else "")

    def failure(self, expected: str) -> Outcome:
        """Return the outcome of an answer that is not the `expected` one."""
        is_busy = self.fault is Fault.BUSY
        wait_s = retry_after_s(self.retry_after, datetime.now(UTC)) if is_busy else 0.0
        return Outcome(self.describe(expected), self.fault, wait_s, reached=True)

    def describe(self, expected: str) -> str:
        """Describe an answer that is not the `expected` one, in one printable line."""
        if self._denied:
            return f"status {self.status} {_phrase(self.status)}: {self._denied}"
        if len(self.body) > ANSWER_BYTES or self.body.lstrip().startswith(b"<"):
            page = f"a page{self._title}"
            return f"status {self.status}{self._redirect} with {page}; expected {expected}"
        if not self.is_quotable:
            return f"status {self.status} {_phrase(self.status)}, not quoted; expected {expected}"
        text = self.body.decode("ascii", "backslashreplace").strip()[:_QUOTED]
        if self.status != 200:
            reason = one_line(self.reason)[:_QUOTED]
            return f"status {self.status} {reason}{self._redirect}: {text!r}"
        return f"status 200 with {text!r}; expected {expected}"

    @property
    def _title(self) -> str:
        """The title of a web page: it says what answers. Its HTML would say little in one line."""
        found = _TITLE.search(self.body) if self.is_quotable else None
        if found is None:
            return ""
        return (
            f" titled {' '.join(found[1].decode('ascii', 'backslashreplace').split())[:_QUOTED]!r}"
        )

    @property
    def _redirect(self) -> str:
        """The target of a redirect. It shows what our URL lacks: most often, the s of https."""
        if not self.location or not self.is_quotable or not 300 <= self.status < 400:
            return ""
        return f" to {self.location[:_QUOTED]!a}"

    @property
    def fault(self) -> Fault:
        """The kind of failure that this answer is, if it is one."""
        return Fault.DENIED if self._denied else _fault(self.status)

    @property
    def _denied(self) -> str:
        """What the operator must do, if the answer denies access; otherwise empty."""
        if self.status == 400:
            page = self.body.lower()
            return next((advice for mark, advice in _TLS_PAGES.items() if mark in page), "")
        return _DENIED.get(self.status, "")


def _phrase(status: int) -> str:
    """Return the standard phrase of a status (RFC 9110), whatever the server calls it."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"


def one_line(text: str) -> str:
    """Return a text from the network as one line that is safe in a log and a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _fault(status: int) -> Fault:
    match status:
        case 500:
            return Fault.REFUSED
        case 413:
            return Fault.TOO_LARGE
        case 429 | 503:
            return Fault.BUSY
        case 408 | 504:  # we were late for a proxy, or the server behind it was
            return Fault.LATE
    return Fault.NOT_PATTOO if status < 500 else Fault.UNREACHABLE


def http_date(text: str | None) -> datetime | None:
    """Return the UTC time in a header (RFC 9110, section 5.6.7), or None if it holds none."""
    try:
        moment = parsedate_to_datetime(text or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after_s(header: str | None, now: datetime) -> float:
    """Return the seconds to wait from `now` by the header `Retry-After` (RFC 9110, section 10.2.3).

    At most `MAX_RETRY_AFTER_S`, and 0 if the header is unusable.
    """
    text = (header or "").strip()
    asked = float(text) if _SECONDS.fullmatch(text) else _until(text, now)
    return min(MAX_RETRY_AFTER_S, max(0.0, asked))


def _until(text: str, now: datetime) -> float:
    moment = http_date(text)
    return 0.0 if moment is None else (moment - now).total_seconds()

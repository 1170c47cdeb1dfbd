"""One exchange with a pattoo server. With what it is made of, the only user of `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests
import urllib3

from pattoo_mp.config.values import API, NO_FILES, Trust
from pattoo_mp.errors import TrustError
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, FailedError, Outcome, StatusPage
from pattoo_mp.upload.exchange import Guard
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.reasons import outcome_of
from pattoo_mp.upload.session import Session

if TYPE_CHECKING:
    from requests import Response

__all__ = ["Outcome", "StatusPage", "Transport"]

#: Longer than a loaded server takes, and short enough that a hung one is tried again soon.
_EXCHANGE_S: Final = 30.0
#: So much longer the library would wait: the guard's limit comes first, and one fault has one reason.
_LATER_S: Final = 10.0
#: All that a network, a server, the libraries between and our own files may do.
_FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    TrustError,
)


class Transport:
    """Posts to one server, in one session, one exchange at a time.

    `server` and `proxy` are as the configuration has them, `trust` the files.
    """

    def __init__(
        self,
        server: str,
        trust: Trust = NO_FILES,
        proxy: str | None = None,
        exchange_s: float = _EXCHANGE_S,
    ) -> None:
        self._agent_url = f"{server}{API}"
        self._exchange_s = exchange_s
        self._guard = Guard(exchange_s)
        self._session = Session(self.url, trust, proxy, self._guard)

    @property
    def url(self) -> str:
        """Where posts go, without the agent's identifier."""
        return f"{self._agent_url}receive/"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""
        try:
            return self.exchange("POST", self.url + agent_id, body).outcome
        except FailedError as failed:
            return failed.outcome

    @property
    def agent_url(self) -> str:
        """What the URLs of all that a pattoo server offers to agents begin with."""
        return self._agent_url

    def exchange(
        self, method: str, url: str, body: bytes | None = None, most_bytes: int = ANSWER_BYTES
    ) -> Answer:
        """The answer, of which no more than a little above `most_bytes` is read.

        Raises `FailedError` for whatever a network or a server does instead of answering, and where
        this host has no thread to bound it with.
        """
        try:
            answer = self._exchange(method, url, body, most_bytes)
        except _FAILURES as error:
            outcome = self._late if self._guard.cut else self._outcome_of(error)
            raise FailedError(outcome) from error
        if self._guard.cut:
            # Even an answer that looks whole may be the first half of another.
            raise FailedError(self._late)
        return answer

    def forget_session(self) -> None:
        """Begin anew with a server that knows its clients by a cookie."""
        self._session.cookies.clear()

    @property
    def status_url(self) -> str:
        """The server's status page."""
        return f"{self._agent_url}status"

    def is_well(self) -> bool:
        """Ask the server's status page. What is not a clear yes is a no."""
        return not self.ask_status().error

    def ask_status(self) -> StatusPage:
        """Ask the server's status page, and say what is wrong with the answer. Never raises."""
        try:
            return self.exchange("GET", self.status_url).status_page
        except FailedError as failed:
            return StatusPage(failed.outcome.error, failed.outcome.fault)

    def close(self) -> None:
        """Cut off the exchange that goes on, and every later one. For any thread."""
        self._guard.close()

    @property
    def _late(self) -> Outcome:
        error = f"no whole answer within {self._exchange_s:g} s"
        return Outcome(error, Fault.LATE, reached=self._guard.was_late)

    def _outcome_of(self, error: Exception) -> Outcome:
        return outcome_of(error, is_quotable=self._session.is_quotable)

    def _exchange(self, method: str, url: str, body: bytes | None, most_bytes: int) -> Answer:
        with self._guard.limit():
            self._session.prepare_way()
            with self._session.request(
                method,
                url,
                data=body,
                timeout=self._exchange_s + _LATER_S,
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(
                    response.status_code,
                    response.reason or "",
                    _read(response, most_bytes),
                    response.headers.get("Retry-After"),
                    response.headers.get("Date"),
                    self._session.is_quotable,
                    response.headers.get("Location"),
                )


def _read(response: Response, most_bytes: int) -> bytes:
    """The answer, or enough of it to tell that it is not pattoo's."""
    answer = b""
    # Only a read that finds nothing more tells whether all that was announced has come.
    while len(answer) <= most_bytes:
        piece = response.raw.read(most_bytes + 1, decode_content=False)
        if not piece:
            break
        answer += piece
    return answer

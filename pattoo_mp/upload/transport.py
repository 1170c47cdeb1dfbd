"""One exchange with a pattoo server. The only user of `requests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests
import urllib3
from requests.utils import get_netrc_auth

from pattoo_mp import __version__
from pattoo_mp.addresses import API, is_https
from pattoo_mp.errors import TrustError
from pattoo_mp.trust import NO_FILES, Stamp, Trust, tls_context
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, Outcome, StatusPage
from pattoo_mp.upload.exchange import Guard, GuardedAdapter
from pattoo_mp.upload.reasons import outcome_of

if TYPE_CHECKING:
    from requests import Response

__all__ = ["Outcome", "StatusPage", "Transport"]

_CONNECT_S: Final = 10.0
#: Longer than a loaded server takes, and short enough that a hung one is tried again soon.
_EXCHANGE_S: Final = 30.0
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

    `server` is a URL as the configuration has it; `trust` are the files for TLS.
    """

    def __init__(
        self, server: str, trust: Trust = NO_FILES, exchange_s: float = _EXCHANGE_S
    ) -> None:
        self._agent_url = f"{server}{API}"
        self._trust = trust
        self._exchange_s = exchange_s
        self._guard = Guard(exchange_s)
        #: The files for TLS as they were when they were read; None: not yet.
        self._files: Stamp | None = None
        self._session = _Session()
        # The session keeps the server's cookie: with it a pattoo server answers three times faster.
        self._session.headers.update(
            {
                "Content-Type": "application/json",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"pattoo_mp/{__version__}",
            }
        )
        self._session.settle(self.url)
        self._needs_tls = any(map(is_https, [server, *self._session.proxies.values()]))

    @property
    def url(self) -> str:
        """Where posts go, without the agent's identifier."""
        return f"{self._agent_url}receive/"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""
        try:
            outcome = self._exchange("POST", self.url + agent_id, body).outcome
        except _FAILURES as error:
            outcome = outcome_of(error)
        if self._guard.cut:
            # Even an answer that looks whole may be the first half of another.
            return Outcome(self._late)
        return outcome

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
            page = self._exchange("GET", self.status_url).status_page
        except _FAILURES as failure:
            page = StatusPage(outcome_of(failure).error)
        return StatusPage(self._late) if self._guard.cut else page

    def close(self) -> None:
        """Cut off the exchange that goes on, and every later one. For any thread."""
        self._guard.close()

    @property
    def _late(self) -> str:
        return f"no whole answer within {self._exchange_s:g} s"

    def _exchange(self, method: str, url: str, body: bytes | None = None) -> Answer:
        # The session prepares the request, so that a proxy named in the environment is used.
        with (
            self._guard.limit(),
            self._ready_session().request(
                method,
                url,
                data=body,
                timeout=(_CONNECT_S, self._exchange_s),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            return Answer(
                response.status_code,
                response.reason or "",
                _read(response),
                response.headers.get("Retry-After"),
                response.headers.get("Date"),
            )

    def _ready_session(self) -> requests.Session:
        """The session, with the files for TLS as they are now. Raises `TrustError`."""
        files = self._trust.stamp() if self._needs_tls else ()
        if files != self._files:
            self._files = None
            context = tls_context(self._trust) if self._needs_tls else None
            adapter = GuardedAdapter(self._guard, context)
            self._session.close()
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, adapter)
            self._files = files
        return self._session


class _Session(requests.Session):
    """Sees no redirects: what follows them not still reads all of their body, however long."""

    def settle(self, url: str) -> None:
        """Ask the environment once, rather than for each request, how `url` is to be reached.

        Which proxy it names, and whose name and password (~/.netrc).
        """
        found = self.merge_environment_settings(url, {}, None, None, None)
        self.proxies = found["proxies"]
        self.auth = get_netrc_auth(url)
        self.trust_env = False

    def get_redirect_target(self, resp: Response) -> None:
        """Say that there is none."""


def _read(response: Response) -> bytes:
    """The answer, or enough of it to tell that it is not pattoo's."""
    answer = b""
    # Only a read that finds nothing more tells whether all that was announced has come.
    while len(answer) <= ANSWER_BYTES:
        piece = response.raw.read(ANSWER_BYTES + 1, decode_content=False)
        if not piece:
            break
        answer += piece
    return answer

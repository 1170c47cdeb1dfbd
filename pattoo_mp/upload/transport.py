"""One exchange with a pattoo server. The only user of `requests`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import requests
import urllib3
from requests.utils import get_netrc_auth

from pattoo_mp import __version__
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, Outcome, StatusPage, one_line
from pattoo_mp.upload.exchange import Guard, GuardedAdapter

if TYPE_CHECKING:
    from requests import Response

__all__ = ["Outcome", "StatusPage", "Transport"]

_CONNECT_S: Final = 10.0
#: Longer than a loaded server takes, and short enough that a hung one is tried again soon.
_EXCHANGE_S: Final = 30.0
#: All that a network, a server and the libraries between may do.
_FAILURES: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class Transport:
    """Posts to one server, in one session, one exchange at a time."""

    def __init__(self, host: str, port: int, exchange_s: float = _EXCHANGE_S) -> None:
        self._agent_url = f"http://{_in_url(host)}:{port}/pattoo/api/v1/agent/"
        self._exchange_s = exchange_s
        self._guard = Guard(exchange_s)
        self._session = _Session()
        adapter = GuardedAdapter(self._guard)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
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

    @property
    def url(self) -> str:
        """Where posts go, without the agent's identifier."""
        return f"{self._agent_url}receive/"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""
        try:
            outcome = self._exchange("POST", self.url + agent_id, body).outcome
        except _FAILURES as error:
            outcome = Outcome(_reason(error))
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
            page = StatusPage(_reason(failure))
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
            self._session.request(
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


class _Session(requests.Session):
    """Sees no redirects: what follows them not still reads all of their body, however long."""

    def settle(self, url: str) -> None:
        """Ask the environment once, rather than for each request, how `url` is to be reached.

        Which proxy it names, whose certificates, and whose name and password (~/.netrc).
        """
        found = self.merge_environment_settings(url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
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


def _reason(error: Exception) -> str:
    """The innermost cause in words: 'Connection refused' rather than the pool's whole tale."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or seen.__context__ or getattr(seen, "reason", None)
        if not isinstance(inner, BaseException) or inner is seen:
            break
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return one_line(f"{type(seen).__name__}: {seen}")[:200]


def _in_url(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[{str(address).replace('%', '%25')}]" if address.version == 6 else str(address)

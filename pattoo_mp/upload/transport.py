"""One post to a pattoo server. The only user of `requests`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests
import urllib3

from pattoo_mp import __version__
from pattoo_mp.upload.exchange import Guard, GuardedAdapter

if TYPE_CHECKING:
    from requests import Response

_CONNECT_S: Final = 10.0
#: Longer than a loaded server takes, and short enough that a hung one is tried again soon.
_EXCHANGE_S: Final = 30.0
#: pattoo answers `OK`; what is longer than this is somebody else's page.
_ANSWER_BYTES: Final = 4096
_QUOTED: Final = 80
_TAKEN: Final = b"OK"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a post: `error` is empty if, and only if, the server has taken it."""

    error: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the server has taken the post."""
        return not self.error


class Transport:
    """Posts to one server, in one session, one exchange at a time."""

    def __init__(self, host: str, port: int, exchange_s: float = _EXCHANGE_S) -> None:
        self._url = f"http://{_in_url(host)}:{port}/pattoo/api/v1/agent/receive/"
        self._exchange_s = exchange_s
        self._guard = Guard()
        self._session = requests.Session()
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

    @property
    def url(self) -> str:
        """Where posts go, without the agent's identifier."""
        return self._url

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""
        try:
            with self._guard.limit(self._exchange_s):
                outcome = self._exchange(agent_id, body)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            outcome = Outcome(_reason(error))
        if self._guard.cut:
            # Even an answer that looks whole may be the first half of another.
            return Outcome(f"no whole answer within {self._exchange_s:g} s")
        return outcome

    def close(self) -> None:
        """Cut off the exchange that goes on, and every later one. For any thread."""
        self._guard.close()

    def _exchange(self, agent_id: str, body: bytes) -> Outcome:
        # The session prepares the request, so that a proxy named in the environment is used.
        with self._session.post(
            self._url + agent_id,
            data=body,
            # The guard comes first; this is for a read that it cannot reach.
            timeout=(_CONNECT_S, 2 * self._exchange_s),
            allow_redirects=False,
            stream=True,
        ) as response:
            return _judge(response)


def _judge(response: Response) -> Outcome:
    answer = _read(response)
    if len(answer) > _ANSWER_BYTES:
        return Outcome(f"status {response.status_code} with a page; expected OK from pattoo")
    text = answer.decode("ascii", "backslashreplace").strip()[:_QUOTED]
    if response.status_code != requests.codes.ok:
        reason = _one_line(response.reason or "")[:_QUOTED]
        return Outcome(f"status {response.status_code} {reason}: {text!r}")
    # A captive portal, too, answers 200.
    if answer.strip() != _TAKEN:
        return Outcome(f"status 200 with {text!r}; expected OK from pattoo")
    return Outcome()


def _read(response: Response) -> bytes:
    """The answer, or enough of it to tell that it is not pattoo's."""
    answer = b""
    # Only a read that finds nothing more tells whether all that was announced has come.
    while len(answer) <= _ANSWER_BYTES:
        piece = response.raw.read(_ANSWER_BYTES + 1, decode_content=False)
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
    return _one_line(f"{type(seen).__name__}: {seen}")[:200]


def _one_line(text: str) -> str:
    """Words of a server's, fit for a log and a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _in_url(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[{str(address).replace('%', '%25')}]" if address.version == 6 else str(address)

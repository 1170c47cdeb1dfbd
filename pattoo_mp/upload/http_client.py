"""An HTTP client for one server, with a time limit on each whole exchange.

It keeps one session of `requests`, and reads the files for TLS, proxy and credentials again when
they change. Only this module and `exchange` use `requests`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import requests
import urllib3
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, get_netrc_auth

from pattoo_mp import __version__
from pattoo_mp.config import validators
from pattoo_mp.config.secrets import PROXY, SERVER, authorization, basic, tls_context
from pattoo_mp.config.values import DIRECT, NO_FILES, Trust, is_https
from pattoo_mp.errors import TrustError
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, FailedError, Outcome
from pattoo_mp.upload.exchange import MAX_IDLE_S, ExchangeWatchdog, WatchedAdapter
from pattoo_mp.upload.failures import classify_error
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import Response

    from pattoo_mp.config.values import Stamp


#: Longer than a loaded server takes, and short enough to retry a hung one soon.
EXCHANGE_S: Final = 30.0
#: How much longer the library's own time limit is, so that it never fires before the watchdog's.
_LATER_S: Final = 10.0
#: Everything that a network, a server, the libraries and our own files may raise.
_FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    MemoryError,
    TrustError,
)
#: What a server or a proxy answers that finds a request's headers too large.
_HEADERS_TOO_LARGE: Final = (400, 431)


class HttpClient:
    """Makes requests to the server at `url`, one at a time, each within `exchange_s`.

    `proxy` is the setting, `trust` names the TLS and credential files. `headers` are sent with each
    request, in place of ours of the same names.
    """

    def __init__(
        self,
        url: str,
        trust: Trust = NO_FILES,
        proxy: str | None = None,
        exchange_s: float = EXCHANGE_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._exchange_s = exchange_s
        self._watchdog = ExchangeWatchdog(exchange_s)
        self._session = Session(url, trust, proxy, self._watchdog)
        self._session.headers.update(headers or {})
        #: When the last exchange ended. The one after the first is taken to come soon.
        self._ended = float("inf")

    def exchange(
        self, method: str, url: str, body: bytes | None = None, max_bytes: int = ANSWER_BYTES
    ) -> Answer:
        """Return the answer, of which at most a little more than `max_bytes` is read.

        Raises `FailedError` if the network or the server fails in any way, and if this host has no
        thread for the time limit.
        """
        is_soon = time.monotonic() - self._ended <= MAX_IDLE_S
        if not is_soon:
            self._session.close()
        try:
            answer = self._exchange(method, url, body, max_bytes)
        except _FAILURES as error:
            outcome = self._late if self._watchdog.cut else self._classify(error)
            raise FailedError(outcome) from error
        finally:
            self._ended = time.monotonic()
            if not is_soon:
                # The next exchange is probably not soon, either: do not keep an idle connection.
                self._session.close()
        if self._watchdog.cut:
            # An answer that looks complete may be only the first half of another.
            raise FailedError(self._late)
        if answer.status in _HEADERS_TOO_LARGE:
            self.forget_session()
        return answer

    def keep_session(self, answer: Answer) -> None:
        """Send the cookie of this answer, if it has one, with all later exchanges.

        Only for answers that the protocol expects: others may come from anything on the way.
        """
        if answer.cookie:
            self._session.headers["Cookie"] = answer.cookie

    def forget_session(self) -> None:
        """Drop the session's cookie; the server starts a new session with the next exchange."""
        self._session.headers.pop("Cookie", None)

    def close(self) -> None:
        """Cut off the current exchange and every later one. Callable from any thread."""
        self._watchdog.close()

    @property
    def _late(self) -> Outcome:
        error = f"no complete answer within {self._exchange_s:g} s"
        return Outcome(error, Fault.LATE, reached=self._watchdog.was_late)

    def _classify(self, error: Exception) -> Outcome:
        outcome = classify_error(error, is_quotable=self._session.is_quotable)
        return replace(outcome, reached=self._watchdog.is_connected)

    def _exchange(self, method: str, url: str, body: bytes | None, max_bytes: int) -> Answer:
        with self._watchdog.limit():
            self._session.refresh()
            with self._response(method, url, body) as response:
                return Answer(
                    response.status_code,
                    response.reason or "",
                    _read(response, max_bytes),
                    response.headers.get("Retry-After"),
                    response.headers.get("Date"),
                    self._session.is_quotable,
                    response.headers.get("Location"),
                    response.headers.get("Set-Cookie", ""),
                    response.headers.get("Warning", ""),
                )

    def _response(self, method: str, url: str, body: bytes | None) -> Response:
        """Send a request, and return the response, whose body is not read yet.

        If a connection that was used before fails without an answer, the server, or something on the way, has
        closed it since. That is no failure of the server, so the request is sent again, once.
        """
        send = partial(
            self._session.request,
            method,
            url,
            data=body,
            timeout=self._exchange_s + _LATER_S,
            allow_redirects=False,
            stream=True,
        )
        try:
            return send()
        except _FAILURES:
            if self._watchdog.is_new or self._watchdog.cut:
                raise
            self._session.close()
            return send()


def _read(response: Response, max_bytes: int) -> bytes:
    """Return the body, or enough of it to tell that it is too long."""
    answer = b""
    # As urllib3 since 2.0: a body that is shorter than announced is an error.
    response.raw.enforce_content_length = True
    # Only a read that returns nothing tells whether the announced length has arrived.
    while len(answer) <= max_bytes:
        piece = response.raw.read(max_bytes + 1, decode_content=False)
        if not piece:
            break
        answer += piece
    return answer


class Session(requests.Session):
    """A session with one server, over connections that `watchdog` knows.

    Call `refresh` before each request. The header `Cookie` may hold the server's cookie, with which
    a pattoo server answers three times faster. The session itself keeps no cookie. The environment is
    read once, not for each request.
    """

    def __init__(
        self, url: str, trust: Trust, proxy: str | None, watchdog: ExchangeWatchdog
    ) -> None:
        super().__init__()
        self.headers.update(
            {
                "Content-Type": "application/json",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"pattoo_mp/{__version__}",
            }
        )
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._url = url
        self._trust = trust
        self._proxy = proxy
        self._watchdog = watchdog
        self._environment = get_environ_proxies(url)
        self._netrc = get_netrc_auth(url)
        self.trust_env = False
        #: Whether requests hold no secret, so that answers cannot repeat one.
        self.is_quotable = True
        #: The stamp of the files when they were last read; None before that.
        self._files: Stamp | None = None

    def refresh(self) -> None:
        """Read the files again if they have changed. Raises `TrustError` if one cannot be used."""
        files = self._trust.stamp()
        if files == self._files:
            return
        self._files = None
        proxy = self._current_proxy()
        header = authorization(SERVER, self._trust.credentials_file)
        needs_tls = is_https(self._url) or (proxy is not None and is_https(proxy.url))
        adapter = WatchedAdapter(
            self._watchdog,
            tls_context(self._trust) if needs_tls else None,
            proxy.authorization if proxy else "",
        )
        self.close()
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", adapter)
        self.proxies = {"http": proxy.url, "https": proxy.url} if proxy else {}
        self.auth = _Authorization(header) if header else self._netrc
        self.is_quotable = not self.auth and not (proxy and proxy.authorization)
        self._files = files

    def close(self) -> None:
        """Close all connections. The next request makes a new one."""
        super().close()
        self._watchdog.failed()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: to follow a redirect, `requests` would first read its whole body."""

    def _current_proxy(self) -> Proxy | None:
        if self._proxy == DIRECT:
            return None
        if self._proxy is None:
            return proxy_from_environment(
                self._environment, "https" if is_https(self._url) else "http"
            )
        return Proxy(self._proxy, authorization(PROXY, self._trust.proxy_credentials_file))


class _Authorization(AuthBase):
    """Adds our credentials to each request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. Its user and password are in the header `authorization`, not in `url`."""

    url: str
    authorization: str = field(default="", repr=False)


def proxy_from_environment(proxies: Mapping[str, str], scheme: str) -> Proxy | None:
    """Return the proxy for URLs of `scheme` among those that the environment names.

    Its URL may hold a user and a password, and a library would quote a wrong URL in an error. So no
    library gets it as it is. Raises `TrustError`.
    """
    named = proxies.get(scheme) or proxies.get("all")
    if not named:
        return None
    text = named if "://" in named else f"http://{named}"
    scheme, _, rest = text.partition("://")
    user, _, host = rest.rpartition("@")
    try:
        url = validators.proxy(f"{scheme.lower()}://{host}")
    except ValueError as error:
        wrong = "in the environment cannot be used"
        raise TrustError("proxy", "what is named", wrong, validators.A_PROXY) from error
    return Proxy(url, basic(unquote(user)) if user else "")

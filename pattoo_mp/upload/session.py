"""A session of `requests` that knows the way to one server: TLS, proxy, and what names us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, get_netrc_auth

from pattoo_mp import __version__
from pattoo_mp.config.secrets import PROXY, SERVER, authorization, tls_context
from pattoo_mp.config.values import DIRECT, is_https
from pattoo_mp.upload.exchange import GuardedAdapter
from pattoo_mp.upload.proxy import Proxy, of_environment

if TYPE_CHECKING:
    from pattoo_mp.config.values import Stamp, Trust
    from pattoo_mp.upload.exchange import Guard


class Session(requests.Session):
    """Asks one server, over connections that `guard` sees. Call `prepare_way` before each request.

    It keeps the server's cookie: with it a pattoo server answers three times faster. The
    environment is asked once, rather than for each request.
    """

    def __init__(self, url: str, trust: Trust, proxy: str | None, guard: Guard) -> None:
        super().__init__()
        self.headers.update(
            {
                "Content-Type": "application/json",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"pattoo_mp/{__version__}",
            }
        )
        self._url = url
        self._trust = trust
        self._proxy = proxy
        self._guard = guard
        self._environment = get_environ_proxies(url)
        self._netrc = get_netrc_auth(url)
        self.trust_env = False
        #: Whether no secret goes out with a request, so that an answer holds none.
        self.is_quotable = True
        #: The files as they were when they were read; None: not yet.
        self._files: Stamp | None = None

    def prepare_way(self) -> None:
        """Go by the files as they are now. Raises `TrustError` if one cannot be used."""
        files = self._trust.stamp()
        if files == self._files:
            return
        self._files = None
        proxy = self._proxy_now()
        header = authorization(SERVER, self._trust.credentials_file)
        needs_tls = is_https(self._url) or (proxy is not None and is_https(proxy.url))
        adapter = GuardedAdapter(
            self._guard,
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

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is none: what looks for one reads all of the body first, however long."""

    def _proxy_now(self) -> Proxy | None:
        if self._proxy == DIRECT:
            return None
        if self._proxy is None:
            return of_environment(self._environment, "https" if is_https(self._url) else "http")
        return Proxy(self._proxy, authorization(PROXY, self._trust.proxy_credentials_file))


class _Authorization(AuthBase):
    """Puts what names us into each request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request

"""Settings that are good each for itself, and not together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config import addresses, urls
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config


def contradictions(config: Config) -> Iterator[TrustError]:
    """An error for each."""
    for server in config.server_urls if config.credentials_file else ():
        # What stays on this host may be a tunnel's end.
        if not urls.is_https(server) and not addresses.is_loopback(server):
            wrong = f"would go in the clear to {server}"
            expected = "servers with https"
            yield TrustError("credentials_file", config.credentials_file, wrong, expected)
    if config.proxy_credentials_file and config.proxy in {None, urls.DIRECT}:
        wrong, expected = "is for no proxy", "the URL of one in proxy"
        yield TrustError("proxy_credentials_file", config.proxy_credentials_file, wrong, expected)

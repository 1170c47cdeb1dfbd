"""Settings that are good each for itself, and not together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp import addresses
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.config import Config


def contradictions(config: Config) -> Iterator[TrustError]:
    """An error for each."""
    credentials, server = config.credentials_file, config.server_url
    # What stays on this host may be a tunnel's end.
    if credentials and not addresses.is_https(server) and not addresses.is_loopback(server):
        wrong = f"would go in the clear to {server}"
        yield TrustError("credentials_file", credentials, wrong, "a server with https")
    if config.proxy_credentials_file and config.proxy in {None, addresses.DIRECT}:
        wrong, expected = "is for no proxy", "the URL of one in proxy"
        yield TrustError("proxy_credentials_file", config.proxy_credentials_file, wrong, expected)

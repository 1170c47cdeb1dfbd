"""What is wrong with the files that vouch for a server, and for us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.config.credentials import PROXY, SERVER, authorization
from pattoo_mp.config.tls import tls_problems
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from pattoo_mp.config.trust import Trust


def problems(trust: Trust) -> list[TrustError]:
    """What is wrong with the files that are named. Nothing is asked of a server."""
    found = tls_problems(trust)
    for kind, path in ((SERVER, trust.credentials_file), (PROXY, trust.proxy_credentials_file)):
        try:
            authorization(kind, path)
        except TrustError as error:
            found.append(error)
    return found

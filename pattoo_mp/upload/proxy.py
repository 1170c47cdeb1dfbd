"""Which proxy is on the way to a server, and what it is told of us."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pattoo_mp.config import validators
from pattoo_mp.config.secrets import basic
from pattoo_mp.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy without its user and password, which are in the header `authorization`."""

    url: str
    authorization: str = field(default="", repr=False)


def of_environment(proxies: Mapping[str, str], scheme: str) -> Proxy | None:
    """The proxy for URLs of `scheme` among those that the environment names for a server.

    Its URL may hold a user and a password, so no library gets it as it is: one that is wrong would
    be quoted in an error. Raises `TrustError`.
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

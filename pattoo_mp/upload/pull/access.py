"""Who may ask an output of kind pull: by address, and by token."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from typing import TYPE_CHECKING

from pattoo_mp.config.secrets import tokens
from pattoo_mp.errors import TrustError
from pattoo_mp.upload.pull.http import RefusedError
from pattoo_mp.util.lean_imports import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Output, Stamp


class Access:
    """Decides by the keys `allow` and `tokens_file` of an output.

    Without either, an output that others can reach has only what an original spoke has for everybody: its page.
    """

    def __init__(self, output: Output) -> None:
        self._networks = [ipaddress.ip_network(network) for network in output.allow]
        self._trust = output.trust
        self._is_exposed = output.is_exposed
        self._stamp: Stamp | None = None
        self._digests: frozenset[bytes] = frozenset()
        #: Why no token is taken; empty if they are.
        self.trouble = ""

    def admits(self, address: str) -> bool:
        """Whether an address may ask at all. This host always may."""
        if not self._networks or _is_loopback(address):
            return True
        found = ipaddress.ip_address(address)
        return any(found in network for network in self._networks)

    def check(self, address: str, headers: Mapping[str, str], *, is_original: bool) -> None:
        """Raise `RefusedError` if a request may not have the page; `is_original`: an original spoke has it."""
        if self._is_exposed and not is_original and not _is_loopback(address):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "only the page of an original spoke is for everybody; expected allow or tokens_file in the "
                "configuration of the spoke",
            )
        if self._trust.tokens_file is None:
            return
        self._read_tokens()
        scheme, _, token = headers.get("authorization", "").partition(" ")
        # Digests are compared: how long that takes tells nothing about a token.
        digest = sha256(token.strip().encode("latin-1", "replace")).digest()
        if scheme.lower() == "bearer" and digest in self._digests:
            return
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "expected the header Authorization: Bearer, with a token of tokens_file",
            {"WWW-Authenticate": 'Bearer realm="pattoo_mp"'},
        )

    def _read_tokens(self) -> None:
        """Read the tokens again if the file has changed. One that cannot be read admits nobody."""
        stamp = self._trust.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = tokens(self._trust.tokens_file)
            self.trouble = ""
        except TrustError as error:
            found = ()
            self.trouble = str(error)
        self._digests = frozenset(sha256(token.encode()).digest() for token in found)


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")

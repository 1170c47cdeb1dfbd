"""A private CA for tests, with certificates for servers and agents."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from pathlib import Path

PAST = datetime(2020, 1, 1, tzinfo=UTC)


class Authority:
    """A private CA. Its files go into `home`."""

    def __init__(self, home: Path, name: str = "ca") -> None:
        self._home = home
        self._name = name
        self._ca = trustme.CA()
        self._issued = 0
        #: The CA's certificate.
        self.file = home / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str, **more: Any) -> ssl.SSLContext:  # noqa: ANN401 - what trustme takes
        """Return the TLS context of a server with these names; by default with our address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if not names and "common_name" not in more:
            names = ("127.0.0.1",)
        self._ca.issue_cert(*names, **more).configure_cert(context)
        return context

    def expired(self) -> ssl.SSLContext:
        """Return a server's context with an expired certificate."""
        return self.server(not_after=PAST)

    def wanting(self, others: Authority | None = None) -> ssl.SSLContext:
        """Return a server's context that requires client certificates, of this CA or of `others`."""
        context = self.server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations((others or self).file)
        return context

    def client(self) -> tuple[Path, Path]:
        """Return the files of a certificate for an agent and its key."""
        return self.files("agent.example.org")

    def files(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate for this name and its key."""
        self._issued += 1
        issued = self._ca.issue_cert(name)
        certificate = self._home / f"{self._name}-{self._issued}.pem"
        key = certificate.with_suffix(".key")
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key

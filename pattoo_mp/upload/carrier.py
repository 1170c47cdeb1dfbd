"""What takes posts to a pattoo server: in the clear, or encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pattoo_mp import paths
from pattoo_mp.upload.transport import Transport

if TYPE_CHECKING:
    from pattoo_mp.config.values import Config
    from pattoo_mp.upload.answer import Outcome


class Carrier(Protocol):
    """Takes posts to one server, one at a time."""

    @property
    def url(self) -> str:
        """Where posts go, for a person."""

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for what a network or a server does; the outcome says it."""

    def is_well(self) -> bool:
        """Whether the server says that it is well."""

    def close(self) -> None:
        """Cut off what goes on, and all that comes later. For any thread."""


def carrier(config: Config, url: str, agent_id: str) -> Carrier:
    """What the configuration asks for, to one of its servers.

    Nothing of encryption is imported where it is off.
    """
    transport = Transport(url, config.trust, config.proxy)
    if not config.encrypted:
        return transport
    from pattoo_mp.upload.encrypted.gpg import Gpg  # noqa: PLC0415
    from pattoo_mp.upload.encrypted.keyring import Keyring  # noqa: PLC0415
    from pattoo_mp.upload.encrypted.transport import EncryptedTransport  # noqa: PLC0415

    keys = paths.keys_directory(config)
    return EncryptedTransport(transport, Keyring(keys, agent_id, Gpg(keys / ".keyring")))

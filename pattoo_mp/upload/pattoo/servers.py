"""Builds the configured pattoo servers, each with the transport that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.upload.failover import Server, Servers
from pattoo_mp.upload.pattoo.transport import PattooTransport

if TYPE_CHECKING:
    from pattoo_mp.config.values import Config
    from pattoo_mp.upload.delivery import Transport

#: Short, since posts wait while another server is probed.
_PROBE_S: Final = 5.0


def servers(config: Config, agent_id: str) -> Servers:
    """Return the servers of the configuration, in its order."""
    transports = [_transport(config, url, agent_id) for url in config.server_urls]
    # A single server is never probed.
    probes = transports if len(transports) == 1 else [_probe(config, u) for u in config.server_urls]
    return Servers(list(map(Server, transports, probes)), agent_id, config.failover_after)


def _transport(config: Config, url: str, agent_id: str) -> Transport:
    plain = PattooTransport(url, config.trust, config.proxy)
    if not config.encrypted:
        return plain
    # With encryption off, import none of its modules.
    from pattoo_mp.upload.pattoo.encrypted.gpg import Gpg  # noqa: PLC0415
    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring  # noqa: PLC0415
    from pattoo_mp.upload.pattoo.encrypted.session import EncryptedTransport  # noqa: PLC0415

    keys = paths.keys_directory(config)
    return EncryptedTransport(plain, Keyring(keys, agent_id, Gpg(keys / ".keyring")))


def _probe(config: Config, url: str) -> Transport:
    return PattooTransport(url, config.trust, config.proxy, exchange_s=_PROBE_S)

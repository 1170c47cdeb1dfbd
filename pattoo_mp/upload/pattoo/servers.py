"""An output of kind pattoo: its servers with the transports that they need, and its posts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp import paths
from pattoo_mp.upload.delivery import Delivery
from pattoo_mp.upload.failover import Server, Servers
from pattoo_mp.upload.pattoo.transport import PattooTransport
from pattoo_mp.upload.spooled import SpooledPosts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.upload.delivery import MakeDeliverer, Transport
    from pattoo_mp.upload.pacing import Backoff
    from pattoo_mp.upload.pattoo.legacy import LegacyPosts
    from pattoo_mp.upload.post import Encode, Source
    from pattoo_mp.upload.spooled import Outbox, Selection

#: Short, since posts wait while another server is probed.
_PROBE_S: Final = 5.0


def servers(config: Config, output: Output, agent_id: str) -> Servers:
    """Return the servers of an output, in the order of the configuration."""
    transports = [_transport(config, output, url, agent_id) for url in output.urls]
    # A single server is never probed.
    probes = transports if len(transports) == 1 else [_probe(output, url) for url in output.urls]
    return Servers(list(map(Server, transports, probes)), agent_id, config.failover_after)


def deliverer(
    outbox: Outbox,
    encode: Encode,
    legacy: LegacyPosts | None = None,
    families: Collection[str] | None = None,
    *,
    of_spokes: bool = False,
) -> MakeDeliverer:
    """Return what makes the output's deliverer: of the `legacy` posts first, then of the polls.

    The output gets only these families of the polls, if not None. `of_spokes`: the spool is a hub's.
    """
    posts = _posts_of_spokes() if of_spokes else SpooledPosts
    selection = None if families is None else _selection(families)

    def make(server: Transport, envelope_ms: Callable[[], int], backoff: Backoff) -> Delivery:
        sources: list[Source] = [posts(outbox, envelope_ms, encode, selection=selection)]
        if legacy is not None:
            sources.insert(0, legacy.source(envelope_ms))
        return Delivery(sources, server, envelope_ms, backoff)

    return make


def _posts_of_spokes() -> type[SpooledPosts]:
    # Only a hub needs it.
    from pattoo_mp.upload.spokes import SpokePosts  # noqa: PLC0415

    return SpokePosts


def _selection(families: Collection[str]) -> Selection:
    # Few outputs need it.
    from pattoo_mp.upload.pattoo.selection import FamilySelection  # noqa: PLC0415

    return FamilySelection(families)


def _transport(config: Config, output: Output, url: str, agent_id: str) -> Transport:
    plain = PattooTransport(url, output.trust, output.proxy)
    if not config.encrypted:
        return plain
    # With encryption off, import none of its modules.
    from pattoo_mp.upload.pattoo.encrypted.gpg import Gpg  # noqa: PLC0415
    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring  # noqa: PLC0415
    from pattoo_mp.upload.pattoo.encrypted.session import EncryptedTransport  # noqa: PLC0415

    keys = paths.keys_directory(config)
    return EncryptedTransport(plain, Keyring(keys, agent_id, Gpg(keys / ".keyring")))


def _probe(output: Output, url: str) -> Transport:
    return PattooTransport(url, output.trust, output.proxy, exchange_s=_PROBE_S)

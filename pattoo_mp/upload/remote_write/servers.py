"""An output of kind remote_write: its receiver, and the delivery to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pattoo_mp.upload.delivery import Sender
from pattoo_mp.upload.failover import Server, Servers
from pattoo_mp.upload.http_client import EXCHANGE_S
from pattoo_mp.upload.remote_write.delivery import RemoteWriteDelivery
from pattoo_mp.upload.remote_write.naming import OnlyFamilies, PattooNaming
from pattoo_mp.upload.remote_write.prometheus_names import PROMETHEUS, PrometheusNaming
from pattoo_mp.upload.remote_write.receiver import Receiver
from pattoo_mp.upload.remote_write.transport import RemoteWriteTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.values import Output
    from pattoo_mp.upload.delivery import Transport
    from pattoo_mp.upload.pacing import Backoff
    from pattoo_mp.upload.remote_write.naming import Naming
    from pattoo_mp.upload.spooled import Outbox


def sender(
    output: Output, outbox: Outbox, exchange_s: float = EXCHANGE_S, *, of_spokes: bool = False
) -> Sender:
    """Make what posts to an output. `of_spokes`: the spool is a hub's."""
    transport = RemoteWriteTransport(
        output.urls[0], output.trust, output.proxy, exchange_s, dict(output.headers)
    )
    receiver = Receiver(naming(output), output.urls[0])

    def make(_: Transport, __: Callable[[], int], backoff: Backoff) -> RemoteWriteDelivery:
        return RemoteWriteDelivery(outbox, transport, receiver, backoff, of_spokes=of_spokes)

    return Sender(Servers([Server(transport, transport)]), make)


def naming(output: Output) -> Naming:
    """Return what names an output's series."""
    named = PrometheusNaming(output) if output.naming == PROMETHEUS else PattooNaming(output)
    return named if output.families is None else OnlyFamilies(named, output.families)

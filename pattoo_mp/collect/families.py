"""The metric families, in the order in which a poll asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import disk_io, memory, mounts, network, partitions, processor, system
from pattoo_mp.collect.source import MayHang
from pattoo_mp.collect.together import Together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.collect.source import Source

#: What a poll waits for those that hang, at most and at least. Under less than the least, a busy
#: host that lets a thread wait its turn would look like one that hangs.
LIMIT_S: Final = 1.0
_LEAST_LIMIT_S: Final = 0.02
#: So many of the sources may hang, and share what a poll waits: the mounts, and the frequency.
_MAY_HANG: Final = 2


def time_limit_s(interval_s: float) -> float:
    """How long a poll may be held up by who hangs: half an interval, so that no tick is missed."""
    return max(_LEAST_LIMIT_S, min(interval_s / 2, LIMIT_S))


def sources(limit_s: float, *, frugal: bool = False) -> tuple[Source, ...]:
    """All of them. Those that may hang hold a poll up by no more than `limit_s` together.

    Frugal ones do together, and only as often as it is needed, what each could do alone. They are
    for one poller, which reads all of them in order.
    """
    share_s = limit_s / _MAY_HANG
    together = Together(share_s) if frugal else None
    lister = mounts.Watched() if frugal else mounts.listed
    return (
        *system.SOURCES,
        *processor.sources(share_s, together),
        *memory.SOURCES,
        *partitions.sources(share_s, together, lister),
        *disk_io.SOURCES,
        *network.SOURCES,
    )


def wait_at_most(limit_s: float, these: Iterable[Source]) -> None:
    """Let those of `these` that may hang hold a poll up by no more than `limit_s` together."""
    for source in these:
        if isinstance(source, MayHang):
            source.wait_at_most(limit_s / _MAY_HANG)


#: What they may give, in the same order.
TABLES: Final = (
    *system.TABLES,
    *processor.TABLES,
    *memory.TABLES,
    *partitions.TABLES,
    *disk_io.TABLES,
    *network.TABLES,
)

#: For who has all the time that there is.
SOURCES: Final = sources(LIMIT_S)


def prime() -> None:
    """Ask once what compares with the question before, so that the first poll means something."""
    processor.prime()

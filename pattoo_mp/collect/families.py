"""The metric families, in the order in which a poll asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import disk_io, memory, network, partitions, processor, system

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Source

SOURCES: Final[tuple[Source, ...]] = (
    *system.SOURCES,
    *processor.SOURCES,
    *memory.SOURCES,
    *partitions.SOURCES,
    *disk_io.SOURCES,
    *network.SOURCES,
)


def prime() -> None:
    """Ask once what compares with the question before, so that the first poll means something."""
    processor.prime()

"""Memory and swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_MEMORY: Final = Table(
    "memory", "Memory", "memory_", INTEGER,
    (
        Metric("total", INTEGER, "bytes", "Memory (Total)",
               "All of the memory that the kernel has."),
        Metric("available", INTEGER, "bytes", "Memory (Available)",
               "What programs can be given at once, without swapping."),
        Metric("percent", INTEGER, "percent", "Memory (Percent)",
               "The part of the total that is not available."),
        Metric("used", INTEGER, "bytes", "Memory (Used)",
               "What programs use. Releases of psutil do not all reckon it in the same way."),
        Metric("free", INTEGER, "bytes", "Memory (Free)",
               "What nothing uses. A busy host has little of it, and is well: look at `available`."),
        Metric("active", INTEGER, "bytes", "Memory (Active)",
               "What was used lately."),
        Metric("inactive", INTEGER, "bytes", "Memory (Inactive)",
               "What was not used lately, and is given up first."),
        Metric("buffers", INTEGER, "bytes", "Memory (Buffers)",
               "Cache of block devices, such as the directories of file systems."),
        Metric("cached", INTEGER, "bytes", "Memory (Cached)",
               "Cache of files, and lists of the kernel that it can give up."),
        Metric("shared", INTEGER, "bytes", "Memory (Shared)",
               "What several processes share, and files in tmpfs."),
        Metric("slab", INTEGER, "bytes", "Memory (Slab)",
               "What the kernel uses for its own lists."),
    ),
)

_SWAP: Final = Table(
    "swap", "Swap", "swap_memory_", INTEGER,
    (
        Metric("total", INTEGER, "bytes", "Swap Memory (Total)",
               "All of the swap space; 0 where there is none."),
        Metric("used", INTEGER, "bytes", "Swap Memory (Used)",
               "Swap space in use."),
        Metric("free", INTEGER, "bytes", "Swap Memory (Free)",
               "Swap space that is not in use."),
        Metric("percent", INTEGER, "percent", "Swap Memory (Percent)",
               "The part of the total that is in use."),
        Metric("sin", COUNTER64, "bytes", "Swap Memory (In)",
               "Read from swap since the host started."),
        Metric("sout", COUNTER64, "bytes", "Swap Memory (Out)",
               "Written to swap since the host started."),
    ),
)
# fmt: on

TABLES: Final = (_MEMORY, _SWAP)


def sources(_: Plan) -> tuple[Source, ...]:
    """Memory, and swap."""
    return (
        Fields(_MEMORY, lambda: psutil.virtual_memory()._asdict()),
        Fields(_SWAP, lambda: psutil.swap_memory()._asdict()),
    )

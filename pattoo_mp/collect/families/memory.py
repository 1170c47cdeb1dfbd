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
               "All memory that the kernel manages."),
        Metric("available", INTEGER, "bytes", "Memory (Available)",
               "Memory that programs can get immediately, without swapping."),
        Metric("percent", INTEGER, "percent", "Memory (Percent)",
               "Percentage of the total that is not available."),
        Metric("used", INTEGER, "bytes", "Memory (Used)",
               "Memory in use by programs. Not all psutil releases calculate it in the same way."),
        Metric("free", INTEGER, "bytes", "Memory (Free)",
               "Memory not used for anything. It is low on a busy, healthy host: see `available`."),
        Metric("active", INTEGER, "bytes", "Memory (Active)",
               "Memory used recently."),
        Metric("inactive", INTEGER, "bytes", "Memory (Inactive)",
               "Memory not used recently, which is reclaimed first."),
        Metric("buffers", INTEGER, "bytes", "Memory (Buffers)",
               "Cache of block devices, such as the directories of file systems."),
        Metric("cached", INTEGER, "bytes", "Memory (Cached)",
               "Cache of files, and kernel data structures that can be reclaimed."),
        Metric("shared", INTEGER, "bytes", "Memory (Shared)",
               "Memory shared by several processes, and files in tmpfs."),
        Metric("slab", INTEGER, "bytes", "Memory (Slab)",
               "Memory for the kernel's own data structures."),
    ),
)

_SWAP: Final = Table(
    "swap", "Swap", "swap_memory_", INTEGER,
    (
        Metric("total", INTEGER, "bytes", "Swap Memory (Total)",
               "All swap space; 0 if there is none."),
        Metric("used", INTEGER, "bytes", "Swap Memory (Used)",
               "Swap space in use."),
        Metric("free", INTEGER, "bytes", "Swap Memory (Free)",
               "Swap space not in use."),
        Metric("percent", INTEGER, "percent", "Swap Memory (Percent)",
               "Percentage of the total that is in use."),
        Metric("sin", COUNTER64, "bytes", "Swap Memory (In)",
               "Bytes read from swap since the host started."),
        Metric("sout", COUNTER64, "bytes", "Swap Memory (Out)",
               "Bytes written to swap since the host started."),
    ),
)
# fmt: on

TABLES: Final = (_MEMORY, _SWAP)


def sources(_: Plan) -> tuple[Source, ...]:
    """Memory and swap."""
    return (
        Fields(_MEMORY, lambda: psutil.virtual_memory()._asdict()),
        Fields(_SWAP, lambda: psutil.swap_memory()._asdict()),
    )

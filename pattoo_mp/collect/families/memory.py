"""Memory and swap, from `/proc/meminfo` and `/proc/vmstat`, see proc(5).

psutil gives the same figures. But it replaces a figure that the kernel's file lacks, such as in a
container with lxcfs, by 0, and believes impossible ones.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64, INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

    Figure = int | float
    Figures = dict[str, Figure | Exception]

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
               "Memory in use by programs: the total without what is available."),
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
    exported={
        "total": Exported("node_memory_MemTotal_bytes"),
        "available": Exported("node_memory_MemAvailable_bytes"),
        "free": Exported("node_memory_MemFree_bytes"),
        "active": Exported("node_memory_Active_bytes"),
        "inactive": Exported("node_memory_Inactive_bytes"),
        "buffers": Exported("node_memory_Buffers_bytes"),
        "shared": Exported("node_memory_Shmem_bytes"),
        "slab": Exported("node_memory_Slab_bytes"),
    },
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
    exported={
        "total": Exported("node_memory_SwapTotal_bytes"),
        "free": Exported("node_memory_SwapFree_bytes"),
    },
)
# fmt: on

TABLES: Final = (_MEMORY, _SWAP)

#: Some lines have no blank before the number, and a wrong one may be negative.
_NUMBER: Final = re.compile(r"[ \t]*(-?[0-9]{1,20})(?: kB)?")

#: The lines of `meminfo` whose sum is a figure.
_PARTS: Final = {
    "free": ("MemFree",),
    "active": ("Active",),
    "inactive": ("Inactive",),
    "buffers": ("Buffers",),
    "cached": ("Cached", "SReclaimable"),
    "shared": ("Shmem",),
    "slab": ("Slab",),
}
_MEMORY_LINES: Final = {
    "MemTotal",
    "MemAvailable",
    *(n for names in _PARTS.values() for n in names),
}
_SWAP_LINES: Final = {"SwapTotal", "SwapFree"}


class _Known:
    """The `wanted` lines of a `meminfo` file.

    A figure that is missing or impossible raises `ValueError`.
    """

    def __init__(self, lines: str, wanted: Iterable[str]) -> None:
        self._bytes: dict[str, int] = {}
        content = f"\n{lines}"
        for name in wanted:
            # The file has some fifty lines: splitting it would take longer than all of the rest.
            _, _, after = content.partition(f"\n{name}:")
            if number := _NUMBER.fullmatch(after.partition("\n")[0]):
                self._bytes[name] = int(number[1]) * 1024

    def get(self, *names: str, limit: str = "") -> int:
        """Return the sum of these lines in bytes: no more than the line `limit`."""
        for name in (*names, limit) if limit else names:
            if name not in self._bytes:
                raise ValueError(f"/proc/meminfo has no {name}")
            if self._bytes[name] < 0:
                raise ValueError(f"{name} is below 0")
        found = sum(self._bytes[name] for name in names)
        if limit and found > self._bytes[limit]:
            raise ValueError(f"{' and '.join(names)} cannot be more than {limit}")
        return found

    def used(self, unused: str, total: str) -> int:
        """Return what is left of the line `total`."""
        return self.get(total) - self.get(unused, limit=total)

    def percent(self, unused: str, total: str) -> float:
        """Return the same in percent; 0 if the total is 0."""
        used = self.used(unused, total)
        return round(100 * used / self.get(total), 1) if used else 0.0


def _each(figures: Mapping[str, Callable[[], Figure]]) -> Figures:
    """Return each figure, or the error that it raises."""
    found: Figures = {}
    for name, figure in figures.items():
        try:
            found[name] = figure()
        except ValueError as error:
            found[name] = error
    return found


def parse_memory(lines: str) -> Figures:
    r"""Return the figures of the memory in `meminfo`, in bytes, or why there is none.

    >>> figures = parse_memory("MemTotal: 8 kB\nMemFree: 2 kB\nMemAvailable:4 kB\nSlab: 9 kB\n")
    >>> figures["used"], figures["percent"], figures["free"], figures["slab"], figures["shared"]
    (4096, 50.0, 2048, ValueError('Slab cannot be more than MemTotal'), ValueError('/proc/meminfo has no Shmem'))
    """
    known = _Known(lines, _MEMORY_LINES)
    pair = ("MemAvailable", "MemTotal")
    parts = {name: partial(known.get, *parts, limit="MemTotal") for name, parts in _PARTS.items()}
    return _each(
        {
            "total": lambda: known.get("MemTotal"),
            "available": lambda: known.get("MemAvailable", limit="MemTotal"),
            "percent": lambda: known.percent(*pair),
            "used": lambda: known.used(*pair),
            **parts,
        }
    )


def parse_swap(lines: str) -> Figures:
    r"""Return the figures of the swap space in `meminfo`, in bytes, or why there is none.

    >>> parse_swap("SwapTotal: 8 kB\nSwapFree: 2 kB\n")
    {'total': 8192, 'used': 6144, 'free': 2048, 'percent': 75.0}
    """
    known = _Known(lines, _SWAP_LINES)
    pair = ("SwapFree", "SwapTotal")
    return _each(
        {
            "total": lambda: known.get("SwapTotal"),
            "used": lambda: known.used(*pair),
            "free": lambda: known.get("SwapFree", limit="SwapTotal"),
            "percent": lambda: known.percent(*pair),
        }
    )


def parse_swapped(lines: str) -> Figures:
    r"""Return the bytes of `vmstat` that went to and from swap, or why they are not known.

    >>> parse_swapped("nr_dirty 1\npswpin 3\n")
    {'sin': 12288, 'sout': ValueError('/proc/vmstat has no pswpout')}
    """
    return _each(
        {"sin": partial(_swapped, "pswpin", lines), "sout": partial(_swapped, "pswpout", lines)}
    )


def _swapped(name: str, lines: str) -> int:
    # The file has hundreds of lines: splitting it would take longer than all of the rest.
    _, _, after = f"\n{lines}".partition(f"\n{name} ")
    number = _NUMBER.fullmatch(after.partition("\n")[0])
    if number is None or number[1].startswith("-"):
        raise ValueError(f"/proc/vmstat has no {name}")
    return int(number[1]) * os.sysconf("SC_PAGE_SIZE")


def _read_swap() -> Figures:
    figures = parse_swap(host.proc("meminfo"))
    try:
        return figures | parse_swapped(host.proc("vmstat"))
    except OSError as error:
        return figures | dict.fromkeys(("sin", "sout"), error)


def sources(_: Plan) -> tuple[Source, ...]:
    """Memory and swap."""
    return (
        Fields(_MEMORY, lambda: parse_memory(host.proc("meminfo"))),
        Fields(_SWAP, _read_swap),
    )

"""Paging: what the kernel reads, writes and reclaims of memory, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_PAGING: Final = Table(
    "paging", "Paging", "paging_", COUNTER64,
    (
        Metric("pgpgin", COUNTER64, "kibibytes", "Paging (In)",
               "Read from block devices, files and swap alike."),
        Metric("pgpgout", COUNTER64, "kibibytes", "Paging (Out)",
               "Written to block devices, files and swap alike."),
        Metric("pswpin", COUNTER64, "pages", "Paging (Swap In)",
               "Pages read from swap."),
        Metric("pswpout", COUNTER64, "pages", "Paging (Swap Out)",
               "Pages written to swap."),
        Metric("pgfault", COUNTER64, "faults", "Page Faults",
               "Times that a program touched a page that was not in its place."),
        Metric("pgmajfault", COUNTER64, "faults", "Page Faults (Major)",
               "Those of them that had to wait for a disk."),
        Metric("pgscan_kswapd", COUNTER64, "pages", "Page Scan (Background)",
               "Pages that the kernel looked at to reclaim them, before somebody had to wait."),
        Metric("pgscan_direct", COUNTER64, "pages", "Page Scan (Direct)",
               "Pages that it looked at while a program waited for memory."),
        Metric("pgsteal_kswapd", COUNTER64, "pages", "Page Steal (Background)",
               "Pages that it reclaimed before somebody had to wait."),
        Metric("pgsteal_direct", COUNTER64, "pages", "Page Steal (Direct)",
               "Pages that it reclaimed while a program waited for memory."),
        Metric("allocstall", COUNTER64, "stalls", "Allocation Stalls",
               "Times that a program had to wait until memory was reclaimed."),
        Metric("oom_kill", COUNTER64, "kills", "Out of Memory Kills",
               "Processes that the kernel killed for want of memory; since Linux 4.13."),
    ),
)
# fmt: on

TABLES: Final = (_PAGING,)

#: Kernels have told some figures zone by zone: proc(5), under `vmstat`.
_ZONES: Final = ("dma", "dma32", "normal", "high", "movable", "device")


def parse(lines: str) -> dict[str, int]:
    r"""Of `/proc/vmstat` what there is of the table's figures; zones are added up.

    >>> parse("nr_free_pages 7\npgfault 12\nallocstall_dma 1\nallocstall_normal 2\n")
    {'pgfault': 12, 'allocstall': 3}
    """
    found = host.numbers(lines)
    told = {metric.name: _of_all_zones(metric.name, found) for metric in _PAGING.metrics}
    return {name: sum(figures) for name, figures in told.items() if figures}


def _of_all_zones(name: str, found: dict[str, int]) -> list[int]:
    names = (name, *(f"{name}_{zone}" for zone in _ZONES))
    return [found[each] for each in names if each in found]


def sources(_: Plan) -> tuple[Source, ...]:
    """Some lines of /proc/vmstat."""
    return (Fields(_PAGING, lambda: parse(host.proc("vmstat"))),)

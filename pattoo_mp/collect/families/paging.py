"""Paging: pages of memory that the kernel reads, writes and reclaims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import COUNTER64

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_PAGING: Final = Table(
    "paging", "Paging", "paging_", COUNTER64,
    (
        Metric("pgpgin", COUNTER64, "kibibytes", "Paging (In)",
               "Data read from block devices, for files and swap."),
        Metric("pgpgout", COUNTER64, "kibibytes", "Paging (Out)",
               "Data written to block devices, for files and swap."),
        Metric("pswpin", COUNTER64, "pages", "Paging (Swap In)",
               "Pages read from swap."),
        Metric("pswpout", COUNTER64, "pages", "Paging (Swap Out)",
               "Pages written to swap."),
        Metric("pgfault", COUNTER64, "faults", "Page Faults",
               "Accesses to a page that was not mapped."),
        Metric("pgmajfault", COUNTER64, "faults", "Page Faults (Major)",
               "Page faults that had to wait for a disk."),
        Metric("pgscan_kswapd", COUNTER64, "pages", "Page Scan (Background)",
               "Pages scanned for reclaim in the background, before a program had to wait."),
        Metric("pgscan_direct", COUNTER64, "pages", "Page Scan (Direct)",
               "Pages scanned for reclaim while a program waited for memory."),
        Metric("pgsteal_kswapd", COUNTER64, "pages", "Page Steal (Background)",
               "Pages reclaimed in the background, before a program had to wait."),
        Metric("pgsteal_direct", COUNTER64, "pages", "Page Steal (Direct)",
               "Pages reclaimed while a program waited for memory."),
        Metric("allocstall", COUNTER64, "stalls", "Allocation Stalls",
               "Times that a program had to wait for memory to be reclaimed."),
        Metric("oom_kill", COUNTER64, "kills", "Out of Memory Kills",
               "Processes killed by the OOM killer; Linux 4.13 and later."),
    ),
    exported={
        "pgpgin": Exported("node_vmstat_pgpgin"),
        "pgpgout": Exported("node_vmstat_pgpgout"),
        "pswpin": Exported("node_vmstat_pswpin"),
        "pswpout": Exported("node_vmstat_pswpout"),
        "pgfault": Exported("node_vmstat_pgfault"),
        "pgmajfault": Exported("node_vmstat_pgmajfault"),
        "pgscan_kswapd": Exported("node_vmstat_pgscan_kswapd"),
        "pgscan_direct": Exported("node_vmstat_pgscan_direct"),
        "pgsteal_kswapd": Exported("node_vmstat_pgsteal_kswapd"),
        "pgsteal_direct": Exported("node_vmstat_pgsteal_direct"),
        "oom_kill": Exported("node_vmstat_oom_kill"),
    },
)
# fmt: on

TABLES: Final = (_PAGING,)

#: Some kernels report some figures for each memory zone: proc(5), under `vmstat`.
_ZONES: Final = ("dma", "dma32", "normal", "high", "movable", "device")


def parse(lines: str) -> dict[str, int | Exception]:
    r"""Return those of the table's figures that `/proc/vmstat` has, summed over the zones.

    >>> parse("nr_free_pages 7\npgfault 12\nallocstall_dma 1\nallocstall_normal 2\n")
    {'pgfault': 12, 'allocstall': 3}
    """
    found = host.numbers(lines)
    by_zone = {metric.name: _all_zones(metric.name, found) for metric in _PAGING.metrics}
    return {name: _sum(figures) for name, figures in by_zone.items() if figures}


def _sum(figures: list[int | Exception]) -> int | Exception:
    """Return the sum, or why it is not known: one zone's figure is no number."""
    known = [figure for figure in figures if not isinstance(figure, Exception)]
    if len(known) < len(figures):
        return next(figure for figure in figures if isinstance(figure, Exception))
    return sum(known)


def _all_zones(name: str, found: dict[str, int | Exception]) -> list[int | Exception]:
    names = (name, *(f"{name}_{zone}" for zone in _ZONES))
    return [found[each] for each in names if each in found]


def sources(_: Plan) -> tuple[Source, ...]:
    """The paging lines of `/proc/vmstat`."""
    return (Fields(_PAGING, lambda: parse(host.proc("vmstat"))),)

"""The names of the metric families, in the order in which a poll reads them.

A family has the name of its file in `pattoo_mp/collect/families/`. The names are listed here so that a
configuration can be checked without importing any family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Families of the original agent. They are on by default.
ORIGINAL: Final = ("system", "processor", "memory", "partitions", "disk_io", "network")

#: Families that the original agent does not have. They are off by default.
FURTHER: Final = (
    "per_processor",
    "load_per_processor",
    "pressure",
    "pressure_irq",
    "paging",
    "disk_queue",
    "raid",
    "file_handles",
    "inodes",
    "mount_state",
    "sockets",
    "tcp_states",
    "protocols",
    "ip",
    "conntrack",
    "softnet",
    "network_links",
    "link_changes",
    "bonding",
    "temperatures",
    "thermal_zones",
    "fans",
    "batteries",
    "mains",
    "users",
    "uptime",
    "process_events",
    "process_states",
    "top_processes",
    "cgroup",
    "agent",
    "textfile",
    "commands",
)

EVERY: Final = (*ORIGINAL, *FURTHER)


def names_on(more: Sequence[str], off: Sequence[str]) -> tuple[str, ...]:
    """Return the families to poll: the original ones except those in `off`, and those in `more`."""
    return tuple(name for name in EVERY if name in more or (name in ORIGINAL and name not in off))


def by_interval(
    names: Iterable[str], default_ms: int, own: Mapping[str, int]
) -> dict[int, tuple[str, ...]]:
    """Return the families that are polled together, by interval (ms), the shortest interval first.

    A family that is not in `own` has the interval `default_ms`. Without any family there is one empty
    group.
    """
    groups: dict[int, tuple[str, ...]] = {}
    for name in names:
        interval_ms = own.get(name, default_ms)
        groups[interval_ms] = (*groups.get(interval_ms, ()), name)
    return dict(sorted(groups.items())) or {default_ms: ()}

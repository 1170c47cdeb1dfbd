"""The metric families by name, in the order in which a poll asks them.

A family's name is that of its file in `pattoo_mp/collect/`. The names stand here, beside nothing
else, so that a configuration can be checked without importing any family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What the original agent sends. They are on unless they are turned off.
ORIGINAL: Final = ("system", "processor", "memory", "partitions", "disk_io", "network")

#: What it does not know. They are off unless they are turned on.
FURTHER: Final = (
    "per_processor",
    "load_per_processor",
    "pressure",
    "paging",
    "file_handles",
    "inodes",
    "sockets",
    "protocols",
    "network_links",
    "temperatures",
    "fans",
    "batteries",
    "users",
    "uptime",
    "process_states",
    "top_processes",
    "cgroup",
    "agent",
    "textfile",
)

EVERY: Final = (*ORIGINAL, *FURTHER)


def names_on(more: Sequence[str], off: Sequence[str]) -> tuple[str, ...]:
    """The families to poll: the original's but those `off`, and of the others those in `more`."""
    return tuple(name for name in EVERY if name in more or (name in ORIGINAL and name not in off))


def by_interval(
    names: Iterable[str], default_ms: int, own: Mapping[str, int]
) -> dict[int, tuple[str, ...]]:
    """The groups of families that are polled together: their names by their interval, the shortest first.

    A family that is not in `own` has the interval `default_ms`. With no family at all there is one
    group, of none.
    """
    groups: dict[int, tuple[str, ...]] = {}
    for name in names:
        interval_ms = own.get(name, default_ms)
        groups[interval_ms] = (*groups.get(interval_ms, ()), name)
    return dict(sorted(groups.items())) or {default_ms: ()}

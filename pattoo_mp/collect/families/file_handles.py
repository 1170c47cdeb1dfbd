"""File handles: how many are open on the whole host, and the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Exported, Metric, Table
from pattoo_mp.model import INTEGER

if TYPE_CHECKING:
    from pattoo_mp.collect.context import Plan
    from pattoo_mp.collect.source import Source

# fmt: off
_FILE_HANDLES: Final = Table(
    "file_handles", "File handles", "file_handles_", INTEGER,
    (
        Metric("allocated", INTEGER, "files", "File Handles",
               "Open files of all programs; proc(5), file-nr."),
        Metric("limit", INTEGER, "files", "File Handles (Limit)",
               "How many may be open on the host; with systemd there is often no limit."),
    ),
    exported={
        "allocated": Exported("node_filefd_allocated"),
        "limit": Exported("node_filefd_maximum"),
    },
)
# fmt: on

TABLES: Final = (_FILE_HANDLES,)


def parse(line: str) -> dict[str, int]:
    """Return the figures of the kernel's line: allocated, unused (0 since Linux 2.6), limit.

    Raises `ValueError`.

    >>> parse("1344 0 1048576")
    {'allocated': 1344, 'limit': 1048576}
    """
    allocated, unused, limit = map(host.count, line.split())
    if unused > allocated:
        raise ValueError(f"impossible figures: {allocated} allocated, {unused} of them unused")
    return {"allocated": allocated - unused, "limit": limit}


def sources(_: Plan) -> tuple[Source, ...]:
    """The kernel's `file-nr`."""
    return (Fields(_FILE_HANDLES, lambda: parse(host.proc("sys/fs/file-nr"))),)

"""Open files: how many the whole host has, and how many it may have."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Metric, Table
from pattoo_mp.model import INTEGER

# fmt: off
_OPEN_FILES: Final = Table(
    "open_files", "Open files", "open_files_", INTEGER,
    (
        Metric("allocated", INTEGER, "files", "Open Files",
               "File handles that the kernel has given out; proc(5), file-nr."),
        Metric("limit", INTEGER, "files", "Open Files (Limit)",
               "File handles that it gives out at most."),
    ),
)
# fmt: on

TABLES: Final = (_OPEN_FILES,)


def parse(text: str) -> dict[str, int]:
    """The figures in the kernel's line: given out, unused, at most.

    >>> parse("1344 0 1048576")
    {'allocated': 1344, 'limit': 1048576}
    """
    allocated, _, limit = text.split()
    return {"allocated": int(allocated), "limit": int(limit)}


SOURCES: Final = (
    Fields(_OPEN_FILES, lambda: parse(Path("/proc/sys/fs/file-nr").read_text(encoding="ascii"))),
)

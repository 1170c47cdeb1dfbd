"""Memory and swap."""

from __future__ import annotations

import psutil

from pattoo_mp.collect.source import Fields
from pattoo_mp.model import COUNTER64, INTEGER

SOURCES = (
    Fields("memory", lambda: psutil.virtual_memory()._asdict(), "memory_", INTEGER),
    Fields(
        "swap",
        lambda: psutil.swap_memory()._asdict(),
        "swap_memory_",
        INTEGER,
        {"sin": COUNTER64, "sout": COUNTER64},
    ),
)

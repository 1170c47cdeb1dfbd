"""What a process takes of the host, read from /proc when somebody asks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_UNKNOWN: Final[dict[str, float]] = {"memory_bytes": 0, "cpu_s": 0.0}


def usage(pid: int) -> dict[str, float]:
    """Resident memory (bytes) and processor time (s) of a process; zeros if there is none.

    From /proc/PID/stat (proc(5)): it alone needs no lock of the process that is looked at, which a
    process that hangs may hold.
    """
    try:
        # The name, in parentheses, may hold anything; the third field comes after it.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        user, system, resident = (int(fields[number - 3]) for number in (14, 15, 24))
    except (OSError, ValueError, IndexError):
        return _UNKNOWN.copy()
    return {"memory_bytes": resident * _PAGE_BYTES, "cpu_s": (user + system) / _TICKS_PER_S}

"""How large the spool may grow. When a limit is reached the oldest polls go, and are counted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Up to here the spool may grow however full the disk is: less would be no spool at all.
_ALWAYS_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest size (bytes), the greatest age (s), and what stays free on the disk (bytes)."""

    max_bytes: int = 1_000_000_000
    max_age_s: int = 30 * 86_400
    min_free_bytes: int = 64_000_000

    def bytes_allowed(self, used_bytes: int, directory: Path) -> tuple[int, str]:
        """How large the spool may be now, and in which words to count what exceeds it.

        On a disk that is nearly full it may be as large as it is, but grow no more.
        """
        if used_bytes > _ALWAYS_BYTES:
            disk = os.statvfs(directory)
            if disk.f_bavail * disk.f_frsize < self.min_free_bytes:
                return min(used_bytes, self.max_bytes), "the disk is nearly full"
        return self.max_bytes, "the spool is full"

    def oldest_allowed_ms(self, newest_ms: int) -> int:
        """The time (ms) before which polls are too old to be kept.

        The newest poll stands for now: a wall clock that leaps must not empty a spool.
        """
        return newest_ms - self.max_age_s * 1000

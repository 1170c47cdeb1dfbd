"""Where a worker is: a short text in memory that it shares with control.

A worker that hangs as a whole can send no message. Control reads here what it was doing. To write
costs less than a microsecond and no system call.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from typing import Final

_BYTES: Final = 64


class Place:
    """The text. Create it before the fork; one process writes, the other reads."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)

    def write(self, text: str) -> None:
        """Replace the text; what does not fit is cut off."""
        self._memory[:] = _padded(text)

    def read(self) -> str:
        """Return the text."""
        return self._memory[:].rstrip(b"\0").decode("utf-8", "replace")


@lru_cache(maxsize=256)
def _padded(text: str) -> bytes:
    return text.encode()[:_BYTES].ljust(_BYTES, b"\0")

"""How large the spool may grow. When a limit is reached the oldest polls go, and are counted."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Up to here the spool may grow however full the disk is: less would be no spool at all.
ALWAYS_BYTES: Final = 4 << 20
#: How large a journal is at the most, for about as long as a commit takes; see `schema`.
_JOURNAL_BYTES: Final = 5 << 20
#: What a new file takes, and what others may take meanwhile.
_SPARE: Final = 1.25
_SPOOL_FULL: Final = "the spool is full"
_DISK_FULL: Final = "the disk is nearly full"
QUARANTINE_FULL: Final = "the quarantine is full"
#: The part of the spool that quarantine may take. What was set aside is for a person, who looks at some
#: of it; what waits for the server can still be delivered, and keeps nine tenths.
_QUARANTINE_PART: Final = 10


@dataclass(frozen=True, slots=True)
class Room:
    """How large a file may become (bytes), and in which words to count what exceeds it."""

    most_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest size (bytes), the greatest age (s), and what stays free on the disk (bytes).

    The age is that of polls that wait: what was set aside is never sent, and stays as long as it
    has room, until somebody has looked.
    """

    max_bytes: int
    max_age_s: int
    min_free_bytes: int

    def room(self, used_bytes: int, directory: Path) -> Room:
        """How large the spool may be now.

        On a disk that is nearly full it may be as large as it is, but grow no more.
        """
        if used_bytes > ALWAYS_BYTES and free_bytes(directory) < self.min_free_bytes:
            return Room(min(used_bytes, self.max_bytes), _DISK_FULL)
        return Room(self.max_bytes, _SPOOL_FULL)

    def room_beside(self, old_bytes: int, directory: Path) -> Room:
        """The same of a second file, which is to take the place of one of `old_bytes`.

        Raises `OSError` where there is no room for a spool worth the name: then the old one waits
        for it, as polls do on any disk that is full.
        """
        free = free_bytes(directory)
        if free < min(old_bytes, ALWAYS_BYTES) * _SPARE:
            raise OSError(errno.ENOSPC, "no room beside the spool to save it", str(directory))
        # Without room for its journal it could not even forget what was delivered.
        allowed = max(ALWAYS_BYTES, free - max(self.min_free_bytes, _JOURNAL_BYTES))
        if allowed < self.max_bytes:
            return Room(allowed, _DISK_FULL)
        return Room(self.max_bytes, _SPOOL_FULL)

    @property
    def quarantine(self) -> Room:
        """How much what was set aside may take of it."""
        return Room(self.max_bytes // _QUARANTINE_PART, QUARANTINE_FULL)

    def oldest_allowed_ms(self, newest_ms: int) -> int:
        """The time (ms) before which polls are too old to be kept.

        The newest poll stands for now: a wall clock that leaps must not empty a spool.
        """
        return newest_ms - self.max_age_s * 1000


def free_bytes(directory: Path) -> int:
    """How much of its disk this user may still fill. Raises `OSError`."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize

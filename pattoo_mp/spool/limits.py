"""Limits of the spool: size, age, and free space on its disk.

When a limit is reached, the oldest polls are dropped and counted.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from pattoo_mp.spool.pauses import Pauses

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.spool.account import SpoolState
    from pattoo_mp.spool.quarantine import Quarantine
    from pattoo_mp.spool.tables import Tables

#: The spool may grow to this size however full the disk is. A smaller spool would be useless.
GUARANTEED_BYTES: Final = 4 << 20
#: The largest journal, for about as long as a commit takes; see `schema.CONNECTION`.
JOURNAL_BYTES: Final = 5 << 20
#: Extra room for a new file, and for what other programs may write meanwhile.
_SPARE: Final = 1.25
_SPOOL_FULL: Final = "the spool is full"
_DISK_FULL: Final = "the disk is nearly full"
_TOO_OLD: Final = "too old"
#: How many polls are examined for their age at a time.
_AGE_BATCH: Final = 500
QUARANTINE_FULL: Final = "the quarantine is full"
#: Quarantine may take one tenth of the spool. An operator looks at only some of those polls; the
#: waiting ones can still be delivered, so nine tenths are theirs.
_QUARANTINE_PART: Final = 10


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """The largest size of a file (bytes), and the reason under which to count polls beyond it."""

    max_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest size (bytes), the greatest age (s), and the free space to leave (bytes).

    The age limit is for waiting polls. Quarantined polls are never sent; they stay as long as there
    is room, for an operator to look at.
    """

    max_bytes: int
    max_age_s: int
    min_free_bytes: int

    def size_limit(self, used_bytes: int, directory: Path) -> SizeLimit:
        """Return how large the spool may be now.

        On a nearly full disk it may keep its size but not grow.
        """
        if used_bytes > GUARANTEED_BYTES and free_bytes(directory) < self.min_free_bytes:
            return SizeLimit(min(used_bytes, self.max_bytes), _DISK_FULL)
        return SizeLimit(self.max_bytes, _SPOOL_FULL)

    def replacement_limit(self, old_bytes: int, directory: Path) -> SizeLimit:
        """Return how large a new file may be that is to replace one of `old_bytes`.

        Raises `OSError` if there is too little room for a useful spool. Then the old file waits for
        room, as polls do on any full disk.
        """
        free = free_bytes(directory)
        if free < min(old_bytes, GUARANTEED_BYTES) * _SPARE:
            raise OSError(errno.ENOSPC, "no room for a recovered copy of the spool", str(directory))
        # Without room for its journal, the new file could not even remove delivered polls.
        allowed = max(GUARANTEED_BYTES, free - max(self.min_free_bytes, JOURNAL_BYTES))
        if allowed < self.max_bytes:
            return SizeLimit(allowed, _DISK_FULL)
        return SizeLimit(self.max_bytes, _SPOOL_FULL)

    @property
    def quarantine_limit(self) -> SizeLimit:
        """How much of the spool quarantined polls may take."""
        return SizeLimit(self.max_bytes // _QUARANTINE_PART, QUARANTINE_FULL)

    def oldest_allowed_ms(self, newest_ms: int, pauses: Pauses) -> int:
        """Return the time (ms) before which polls are too old.

        Age is measured from the newest poll, and without the pauses: a wall clock that leaps, before
        a poll or between two of them, must not empty the spool.
        """
        return pauses.before(newest_ms, self.max_age_s * 1000)

    def drop_too_old(self, tables: Tables, now: SpoolState) -> None:
        """Remove the polls that are too old, and count them in `now`."""
        if tables.oldest_ms() >= self.oldest_allowed_ms(now.newest_ms, Pauses()):
            return  # the usual case: no need to read the pauses, and hundreds of polls
        limit_ms = self.oldest_allowed_ms(now.newest_ms, Pauses(Pauses.read(now.book)))
        while found := tables.oldest(_AGE_BATCH):
            # In a hub's spool, a poll of another spoke between them may be new.
            too_old = list(takewhile(lambda one: one.poll.timestamp_ms < limit_ms, found))
            if not too_old:
                return
            last_id = found[len(too_old) - 1].id
            _drop(tables, now, last_id, _TOO_OLD)
            tables.remove(last_id)
            if len(too_old) < len(found):
                return

    def drop_from_quarantine(self, quarantine: Quarantine, now: SpoolState) -> None:
        """Remove the oldest quarantined polls beyond their limit, and count them in `now`."""
        limit = self.quarantine_limit
        quarantined = sum(output.quarantined for output in now.outputs.values())
        removed = quarantine.shrink(limit.max_bytes, quarantined)
        for name in removed.keys() & now.outputs.keys():
            polls = removed[name]
            now.outputs[name].quarantined -= polls
            now.outputs[name].drop(limit.reason, polls)

    def drop_too_many(
        self, tables: Tables, now: SpoolState, used_before: int, directory: Path
    ) -> None:
        """Remove the oldest polls beyond the size limit, and count them in `now`.

        `used_before` is the size before what is added now.
        """
        limit = self.size_limit(used_before, directory)
        tables.shrink(
            limit.max_bytes, now.polls, lambda last_id: _drop(tables, now, last_id, limit.reason)
        )


def free_bytes(directory: Path) -> int:
    """Return how many bytes of its disk this user may still fill. Raises `OSError`."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def _drop(tables: Tables, now: SpoolState, last_id: int, reason: str) -> None:
    """Count the polls up to an id, which are to be removed, as dropped for all that wait for them."""
    for output in now.outputs.values():
        dropped = tables.count(output.done_id, last_id)
        output.waiting -= dropped
        output.drop(reason, dropped)
        output.done_id = max(output.done_id, last_id)

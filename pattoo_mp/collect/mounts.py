"""The host's mounts, listed anew when they have changed rather than at each poll.

psutil reads three files for its list, and takes a fifth of a poll's time for it. The kernel tells
of each change: it marks /proc/self/mounts for poll(2) (proc(5), under `mountinfo`).
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: psutil's tuples: device, mountpoint, fstype, opts.
    Mounts = Sequence[Any]
    Lister = Callable[[], Mounts]

#: A kernel that takes a failing disk read-only by itself tells nobody.
_AT_LEAST_EVERY_S: Final = 10.0
_TABLE: Final = "/proc/self/mounts"
#: What psutil reads instead, where it is a file and not a link to the kernel's table.
_WRITTEN_TABLE: Final = "/etc/mtab"


def listed() -> Mounts:
    """Ask psutil now."""
    return psutil.disk_partitions()


class Watched:
    """Gives psutil's list again, the very same, until the kernel tells of a change.

    Where it would not tell, psutil is asked each time. For one thread.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._mounts: Mounts | None = None
        self._good_until = 0.0
        self._poll = select.poll()
        self._table: int | None = None
        if os.path.realpath(_WRITTEN_TABLE).startswith("/proc/") or not os.path.lexists(
            _WRITTEN_TABLE
        ):
            with suppress(OSError):
                self._table = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
                self._poll.register(self._table, select.POLLPRI | select.POLLERR)

    def __call__(self) -> Mounts:
        """The mounts now. Raises what psutil raises."""
        # The mark goes with the look at it: what changes from here on is seen the next time.
        changed = self._table is None or bool(self._poll.poll(0))
        now = self._monotonic()
        if changed or self._mounts is None or now >= self._good_until:
            self._mounts = None
            self._mounts = listed()
            self._good_until = now + _AT_LEAST_EVERY_S
        return self._mounts

    def __del__(self) -> None:
        """Let go of the kernel's table."""
        if self._table is not None:
            os.close(self._table)

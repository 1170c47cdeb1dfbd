"""The host's mounts, listed anew when they have changed rather than at each poll.

psutil reads three files for its list, and takes a fifth of a poll's time for it. The kernel tells
of each change: it marks /proc/self/mounts for poll(2) (proc(5), under `mountinfo`).
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from pattoo_mp.collect.host_mounts import HostMounts
from pattoo_mp.collect.host_paths import FIRST_PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.collect.host_paths import HostPaths

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


def own_table() -> str | None:
    """The kernel's table that psutil's list follows; None where a program writes that instead."""
    is_written = os.path.lexists(_WRITTEN_TABLE) and not os.path.realpath(
        _WRITTEN_TABLE
    ).startswith("/proc/")
    return None if is_written else _TABLE


class Listing(NamedTuple):
    """How mounts are listed, and where a device that is mounted at a mount point is to be asked for.

    Of a change of the list tells the kernel's `table`, if there is one.
    """

    listed: Lister
    place: Callable[[str, str], str]
    table: str | None


def listing(paths: HostPaths) -> Listing:
    """That of the host: by psutil, where the host's mounts are the agent's own."""
    if paths.are_elsewhere:
        host = HostMounts(paths.rootfs)
        return Listing(host.listed, host.place, f"{paths.procfs}/{FIRST_PROCESS}/mounts")
    return Listing(listed, lambda _, mountpoint: mountpoint, own_table())


class Watched:
    """Gives the list of `lister` again, the very same, until the kernel tells of a change of `table`.

    Where it would not tell, `lister` is asked each time. For one thread.
    """

    def __init__(
        self, lister: Lister, table: str | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lister = lister
        self._monotonic = monotonic
        self._mounts: Mounts | None = None
        self._good_until = 0.0
        self._poll = select.poll()
        self._table: int | None = None
        with suppress(OSError):
            if table is not None:
                self._table = os.open(table, os.O_RDONLY | os.O_CLOEXEC)
                self._poll.register(self._table, select.POLLPRI | select.POLLERR)

    def __call__(self) -> Mounts:
        """The mounts now. Raises what `lister` raises."""
        # The mark goes with the look at it: what changes from here on is seen the next time.
        changed = self._table is None or bool(self._poll.poll(0))
        now = self._monotonic()
        if changed or self._mounts is None or now >= self._good_until:
            self._mounts = None
            self._mounts = self._lister()
            self._good_until = now + _AT_LEAST_EVERY_S
        return self._mounts

    def __del__(self) -> None:
        """Let go of the kernel's table."""
        if self._table is not None:
            os.close(self._table)

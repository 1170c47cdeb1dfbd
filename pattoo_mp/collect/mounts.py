"""The host's mounts as its first process has them, for an agent that has others.

A mount point is the host's, and is asked for below `rootfs_path`. Whether it is there tells the
agent's own table of mounts: a container has those mounts of the host that were there when it
started, and later ones only if they are propagated to it. What is not there is left out, for below
it lies another file system.
"""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.host import FIRST_PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pattoo_mp.collect.host import HostPaths

    Mounts = Sequence[Any]
    Lister = Callable[[], Mounts]


#: How the kernel writes blanks, line ends, `\` and `#`: proc(5), under `mounts`.
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount, with psutil's names and forms of its fields."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


def parse(lines: str) -> list[Mount]:
    r"""The mounts of a table of /proc.

    >>> parse("/dev/sda1 /my\\040disk ext4 rw,relatime 0 0\n")
    [Mount(device='/dev/sda1', mountpoint='/my disk', fstype='ext4', opts='rw,relatime')]
    """
    rows = (line.split(" ") for line in lines.split("\n"))
    return [Mount(*map(_unescaped, row[:4])) for row in rows if len(row) >= 4]


def on_devices(lines: str) -> set[str]:
    r"""The types of file systems that lie on a device, of `/proc/filesystems`; zfs, too.

    >>> sorted(on_devices("nodev\tproc\n\text4\nnodev\tzfs\n"))
    ['ext4', 'zfs']
    """
    rows = (line.split("\t") for line in lines.splitlines() if "\t" in line)
    return {fstype for nodev, fstype in rows if not nodev or fstype == "zfs"}


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


class HostMounts:
    """Lists the mounts that psutil would list on the host, and says where each is to be asked.

    A root on `/dev/root` is called that: what it is psutil finds out by its own root.
    """

    def __init__(self, rootfs: Path) -> None:
        self._rootfs = rootfs
        self._own: dict[str, str] = {}

    def listed(self) -> list[Mount]:
        """Those on a device. Raises `OSError`."""
        fstypes = on_devices(host.proc("filesystems"))
        # Of several that are mounted at one place the last is on top.
        own = parse(host.proc("self/mounts"))
        self._own = {mount.mountpoint: mount.device for mount in own}
        mounts = parse(host.proc(f"{FIRST_PROCESS}/mounts"))
        return [m for m in mounts if m.fstype in fstypes and m.device not in {"", "none"}]

    def place(self, device: str, mountpoint: str) -> str:
        """Where a mount of the last list is asked for. Raises `FileNotFoundError` if it is not there."""
        place = str(self._rootfs / mountpoint.lstrip("/"))
        if self._own.get(place) != device:
            raise FileNotFoundError(
                f"{device} is not mounted at {place}, where the host's would be"
            )
        return place


# The host's mounts, listed anew when they have changed rather than at each poll.
#
# psutil reads three files for its list, and takes a fifth of a poll's time for it. The kernel tells
# of each change: it marks /proc/self/mounts for poll(2) (proc(5), under `mountinfo`).

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

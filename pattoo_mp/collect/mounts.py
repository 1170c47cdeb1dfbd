"""Lists the host's mounts, and says at which path to query each of them.

`mount_access` chooses how: psutil lists the mounts if they are the agent's own. `HostMounts` lists
them for an agent in a container, which has other mounts. `CachedMounts` keeps a list until it
changes. A mount that is hidden under another one is not queried (`mount_tree.py`).
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.filters import NONE, Filter
from pattoo_mp.collect.host import FIRST_PROCESS
from pattoo_mp.collect.mount_tree import MountTree, read_tree, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pattoo_mp.collect.host import HostPaths

    Mounts = Sequence[Any]
    Lister = Callable[[], Mounts]


#: How long a list is valid: the kernel signals nothing when it makes a failing disk read-only.
_VALID_S: Final = 10.0
_TABLE: Final = "/proc/self/mounts"
#: What psutil reads instead, if a program writes it as a file and it is no link to the kernel's.
_WRITTEN_TABLE: Final = "/etc/mtab"
_OWN: Final = "self"


class Mount(NamedTuple):
    """One mount. Fields have the names and formats of psutil's."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


def parse(lines: str) -> list[Mount]:
    r"""Return the mounts of a `mounts` file of /proc.

    >>> parse("/dev/sda1 /my\\040disk ext4 rw,relatime 0 0\n")
    [Mount(device='/dev/sda1', mountpoint='/my disk', fstype='ext4', opts='rw,relatime')]
    """
    rows = (line.split(" ") for line in lines.split("\n"))
    return [Mount(*map(unescaped, row[:4])) for row in rows if len(row) >= 4]


def on_devices(lines: str) -> set[str]:
    r"""Return the types of file systems on a device, from `/proc/filesystems`; zfs, too.

    >>> sorted(on_devices("nodev\tproc\n\text4\nnodev\tzfs\n"))
    ['ext4', 'zfs']
    """
    rows = (line.split("\t") for line in lines.split("\n"))
    return {row[1] for row in rows if len(row) == 2 and (not row[0] or row[1] == "zfs")}


class OwnMounts:
    """Lists the agent's own mounts, with psutil, and tells which of them are hidden.

    `without_device` selects types of file systems on no device that are listed, too.
    """

    def __init__(self, without_device: Filter = NONE) -> None:
        self._without_device = without_device
        self._tree = MountTree()
        #: Mounts of the last list that are not hidden: each poll asks again.
        self._visible: set[tuple[str, str]] = set()

    def list_mounts(self) -> Mounts:
        """Return psutil's list, read now. Raises `OSError`."""
        # The tree first: a mount that goes in between is not listed then.
        self._tree, self._visible = read_tree(_OWN), set()
        if not self._without_device.include:
            return own_mounts()
        fstypes = on_devices(host.proc("filesystems"))
        accepts = self._without_device.accepts
        return [
            mount
            for mount in psutil.disk_partitions(all=True)
            if (mount.device and mount.fstype in fstypes) or accepts(mount.fstype)
        ]

    def path_of(self, device: str, mountpoint: str) -> str:
        """Return the path of a mount of the last list.

        Raises `FileNotFoundError` if that path leads to another file system.
        """
        if (device, mountpoint) in self._visible:
            return mountpoint
        numbers, found = self._tree.numbers(device, mountpoint), self._tree.visible(mountpoint)
        if numbers and found and found.number not in numbers:
            raise FileNotFoundError(
                f"{device} is hidden at {mountpoint}: {found.device} is mounted over it "
                f"at {found.mountpoint}"
            )
        self._visible.add((device, mountpoint))
        return mountpoint


class HostMounts:
    """Lists the mounts that psutil would list on the host, those of its first process.

    A mount of the host is queried below `rootfs_path`, if the agent's own mounts have it there. A
    container has those mounts of the host that existed when it started, and later ones only if they
    are propagated to it. A mount that is missing there is left out, since that path is in another
    file system.

    A root on `/dev/root` keeps that name: psutil finds the device by the root of its own process.
    """

    def __init__(self, rootfs: Path, without_device: Filter = NONE) -> None:
        self._rootfs = rootfs
        self._without_device = without_device
        self._tree = self._own_tree = MountTree()

    def list_mounts(self) -> list[Mount]:
        """Return the host's mounts that are on a device, or selected. Raises `OSError`."""
        self._own_tree, self._tree = read_tree(_OWN), read_tree(FIRST_PROCESS)
        fstypes = on_devices(host.proc("filesystems"))
        mounts = parse(host.proc(f"{FIRST_PROCESS}/mounts"))
        accepts = self._without_device.accepts
        return [
            mount
            for mount in mounts
            if (mount.device not in {"", "none"} and mount.fstype in fstypes)
            or accepts(mount.fstype)
        ]

    def path_of(self, device: str, mountpoint: str) -> str:
        """Return the path of a mount of the last list.

        Raises `FileNotFoundError` if the agent does not have it there.
        """
        path = str(self._rootfs / mountpoint.lstrip("/"))
        found = self._own_tree.visible(path)
        # The container's root may be on the same file system as the host's: that is no mount of it.
        if (
            found is None
            or found.mountpoint != path
            or found.number not in self._tree.numbers(device, mountpoint)
        ):
            raise FileNotFoundError(f"{device} is not mounted at {path}, where the host's would be")
        return path


def own_mounts() -> Mounts:
    """Return psutil's list, read now."""
    return psutil.disk_partitions()


def own_table() -> str | None:
    """Return the kernel's file that psutil's list follows. None if psutil reads another file."""
    is_written = os.path.lexists(_WRITTEN_TABLE) and not os.path.realpath(
        _WRITTEN_TABLE
    ).startswith("/proc/")
    return None if is_written else _TABLE


class MountAccess(NamedTuple):
    """How to list mounts, and the path at which to query one, given its device and mount point.

    The kernel signals changes of the list on the file `table`, if there is one.
    """

    list_mounts: Lister
    path_of: Callable[[str, str], str]
    table: str | None


def mount_access(paths: HostPaths, without_device: Filter = NONE) -> MountAccess:
    """Return how to access the host's mounts: with psutil, if they are the agent's own.

    `without_device` selects types of file systems on no device that are listed, too.
    """
    if paths.are_elsewhere:
        host = HostMounts(paths.rootfs, without_device)
        table = f"{paths.procfs}/{FIRST_PROCESS}/mounts"
        return MountAccess(host.list_mounts, host.path_of, table)
    own = OwnMounts(without_device)
    return MountAccess(own.list_mounts, own.path_of, own_table())


class CachedMounts:
    """Returns the same list of `lister` until the kernel signals a change of `table`.

    psutil reads three files for its list, which takes a fifth of a poll's time. The kernel signals
    each change of /proc/self/mounts for poll(2): see proc(5), under `mountinfo`. Without a `table`,
    `lister` is called each time. For one thread, and for those that it left behind.
    """

    def __init__(
        self, lister: Lister, table: str | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lister = lister
        self._monotonic = monotonic
        self._mounts: Mounts | None = None
        self._valid_until = 0.0
        self._poll = select.poll()
        self._path = table
        self._table: int | None = None

    def __call__(self) -> Mounts:
        """Return the mounts. Raises what `lister` raises."""
        if self._table is None:
            self._open()
        # poll(2) clears the signal, so later changes are seen in the next call.
        changed = self._table is None or bool(self._poll.poll(0))
        now = self._monotonic()
        mounts = self._mounts
        if changed or mounts is None or now >= self._valid_until:
            self._mounts = None
            self._mounts = mounts = self._lister()
            self._valid_until = now + _VALID_S
        return mounts

    def _open(self) -> None:
        """Open the kernel's file: only here, where a hang is bounded by the poll's time limit."""
        with suppress(OSError):
            if self._path is not None:
                self._table = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                self._poll.register(self._table, select.POLLPRI | select.POLLERR)

    def __del__(self) -> None:
        """Close the kernel's file."""
        if self._table is not None:
            os.close(self._table)

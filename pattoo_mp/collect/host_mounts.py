"""The host's mounts as its first process has them, for an agent that has others.

A mount point is the host's, and is asked for below `rootfs_path`. Whether it is there tells the
agent's own table of mounts: a container has those mounts of the host that were there when it
started, and later ones only if they are propagated to it. What is not there is left out, for below
it lies another file system.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.collect import kernel
from pattoo_mp.collect.host_paths import FIRST_PROCESS

if TYPE_CHECKING:
    from pathlib import Path

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
        fstypes = on_devices(kernel.proc("filesystems"))
        # Of several that are mounted at one place the last is on top.
        own = parse(kernel.proc("self/mounts"))
        self._own = {mount.mountpoint: mount.device for mount in own}
        mounts = parse(kernel.proc(f"{FIRST_PROCESS}/mounts"))
        return [m for m in mounts if m.fstype in fstypes and m.device not in {"", "none"}]

    def place(self, device: str, mountpoint: str) -> str:
        """Where a mount of the last list is asked for. Raises `FileNotFoundError` if it is not there."""
        place = str(self._rootfs / mountpoint.lstrip("/"))
        if self._own.get(place) != device:
            raise FileNotFoundError(
                f"{device} is not mounted at {place}, where the host's would be"
            )
        return place

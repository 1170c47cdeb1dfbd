"""Tells which of several mounts a path leads to.

The kernel's list keeps a mount that another one covers: one that was mounted later at the same
place, or over a directory above it. A question to the covered mount's path is answered by the
other file system.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pattoo_mp.collect import host

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: How the kernel writes blanks, line ends, `\` and `#` in `mounts`: see proc(5).
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
_ROOT: Final = "/"


def unescaped(text: str) -> str:
    r"""Return a field of `mounts` or `mountinfo` as it was given to the kernel.

    >>> unescaped("/my\\040disk")
    '/my disk'
    """
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text) if "\\" in text else text


class Entry(NamedTuple):
    """One mount. `number` is that of its file system: the same for all mounts of one.

    It is not compared with `st_dev`, which btrfs makes up for each subvolume.
    """

    mount_id: str
    parent_id: str
    number: str
    mountpoint: str
    device: str


def parse_mountinfo(lines: str) -> list[Entry]:
    r"""Return the mounts of a `mountinfo` file of /proc: see proc(5).

    >>> parse_mountinfo("36 35 98:0 /x /mnt\\0401 rw,noatime master:1 - ext3 /dev/root rw\n")
    [Entry(mount_id='36', parent_id='35', number='98:0', mountpoint='/mnt 1', device='/dev/root')]
    """
    return [entry for line in lines.split("\n") if (entry := _entry(line.split(" "))) is not None]


def _entry(fields: list[str]) -> Entry | None:
    # A blank in a name is escaped, so a field of "-" alone ends the optional ones.
    if len(fields) < 10 or "-" not in fields[6:-2]:
        return None
    device = fields[fields.index("-", 6) + 2]
    return Entry(fields[0], fields[1], fields[2], unescaped(fields[4]), unescaped(device))


class MountTree:
    """The mounts of one namespace, as a process in it sees them."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._children: dict[tuple[str, str], Entry] = {}
        self._at: dict[str, list[Entry]] = {}
        listed = list(entries)
        ids = {entry.mount_id for entry in listed}
        for entry in listed:
            # The parent of the uppermost ones is out of the process's sight, or is itself.
            is_top = entry.parent_id not in ids or entry.parent_id == entry.mount_id
            self._children[("" if is_top else entry.parent_id), entry.mountpoint] = entry
            self._at.setdefault(entry.mountpoint, []).append(entry)

    @classmethod
    def in_order(cls, mounts: Iterable[tuple[str, str]]) -> MountTree:
        """Return the tree of mounts, (device, mount point), if all that is known is their order.

        Each was mounted where its path led to at that time.
        """
        tree = cls()
        for number, (device, mountpoint) in enumerate(mounts):
            parent = tree.visible(mountpoint)
            entry = Entry(
                str(number), parent.mount_id if parent else "", device, mountpoint, device
            )
            tree._children[entry.parent_id, mountpoint] = entry
            tree._at.setdefault(mountpoint, []).append(entry)
        return tree

    def visible(self, path: str) -> Entry | None:
        """Return the mount that `path` leads to. None if the tree does not have it."""
        found: Entry | None = None
        for directory in _directories(path):
            while below := self._children.get((found.mount_id if found else "", directory)):
                if found and below.mountpoint == _ROOT:
                    break  # a process stays in its root when another is mounted over that
                found = below
        return found

    def numbers(self, device: str, mountpoint: str) -> set[str]:
        """Return the numbers of the file systems of `device` that are mounted there.

        All that are mounted there, if the kernel has no such device: psutil finds out what
        `/dev/root` is.
        """
        entries = self._at.get(mountpoint, [])
        named = {entry.number for entry in entries if entry.device == device}
        return named or {entry.number for entry in entries}


def _directories(path: str) -> Iterator[str]:
    """Yield `/`, and each directory on the way to `path`, and `path`."""
    yield _ROOT
    end = path.find("/", 1)
    while end > 0:
        yield path[:end]
        end = path.find("/", end + 1)
    if path != _ROOT:
        yield path


def read_tree(process: str) -> MountTree:
    """Return the mounts that a process sees, by its name in /proc. Raises `OSError`."""
    try:
        return MountTree(parse_mountinfo(host.proc(f"{process}/mountinfo")))
    except FileNotFoundError:  # from before Linux 2.6.26, or another system's /proc
        rows = (line.split(" ") for line in host.proc(f"{process}/mounts").split("\n"))
        return MountTree.in_order(
            (unescaped(row[0]), unescaped(row[1])) for row in rows if len(row) >= 4
        )

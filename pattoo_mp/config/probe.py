"""Tries in a corner of a directory what a start does there, and cleans up.

A directory may be writable and still be of no use: a file system over the network or FUSE may have no
locks, hard links, modes, sockets or memory maps, a disk no inodes left, and a user no quota.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import socket
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.files import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.config.values import Config

    #: What is tried in a corner: by its descriptor and that of an empty file in it.
    Try = Callable[[int, int], object]

_FILE: Final = "file"
#: What a new spool needs.
_BYTES: Final = 128 << 10
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Also a limit of the process (RLIMIT_FSIZE).
_NO_ROOM: Final = _FULL | {errno.EFBIG}


def _link(corner: int, _: int) -> None:
    os.link(_FILE, "link", src_dir_fd=corner, dst_dir_fd=corner)


def _listen(corner: int, _: int) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{corner}/socket")
        listening.listen()


def _map(_: int, file: int) -> None:
    os.ftruncate(file, mmap.PAGESIZE)
    mmap.mmap(file, mmap.PAGESIZE, mmap.MAP_SHARED).close()


_CHMOD: Final[tuple[str, Try]] = ("file modes", lambda _, file: os.fchmod(file, 0o640))
_LINK: Final[tuple[str, Try]] = ("hard links", _link)
_LOCK: Final[tuple[str, Try]] = (
    "file locks",
    lambda _, file: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB),
)
_FLOCK: Final[tuple[str, Try]] = (
    "file locks (flock)",
    lambda _, file: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB),
)
_SOCKET: Final[tuple[str, Try]] = ("sockets", _listen)
_MMAP: Final[tuple[str, Try]] = ("shared memory maps", _map)


def lacking(config: Config) -> dict[Path, str]:
    """Return what each directory of a start lacks: only those that lack something.

    A directory that does not exist yet is tried in the nearest one above it. What cannot be tried,
    for lack of room or permission, is not reported: other checks do that.
    """
    needs: dict[Path, list[tuple[str, Try]]] = {}
    for directory, tries in (
        (config.daemon_directory, [_CHMOD, _LINK]),
        (config.system_daemon_directory, [_LOCK, _SOCKET]),
        (config.cache_directory, [_FLOCK, _MMAP]),
    ):
        needs.setdefault(directory, []).extend(tries)
    found = {directory: _first_lack(directory, tries) for directory, tries in needs.items()}
    return {directory: lack for directory, lack in found.items() if lack}


def _first_lack(directory: Path, tries: list[tuple[str, Try]]) -> str:
    with contextlib.suppress(OSError), _corner(directory) as corner:
        for name, attempt in tries:
            file = os.open(_FILE, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=corner)
            try:
                attempt(corner, file)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    return f"is on a file system without {name} ({error.strerror})"
            finally:
                os.close(file)
    return ""


def no_room(directory: Path) -> str:
    """Return why no file can be made and filled in a directory, if the disk or a quota is full."""
    try:
        with _corner(directory) as corner:
            file = os.open(_FILE, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=corner)
            try:
                os.write(file, bytes(_BYTES))
                os.fsync(file)  # some file systems find out only now
            finally:
                os.close(file)
    except OSError as error:
        if error.errno in _FULL:
            return f"has no room for a new file ({reason(error, directory)})"
    return ""


@contextlib.contextmanager
def _corner(directory: Path) -> Iterator[int]:
    """Make a directory in `directory`, or in the nearest one above it; yield its descriptor.

    Afterwards it is removed with all that is in it. Everything goes by descriptors: another user who
    owns `directory` cannot lead us elsewhere. Raises `OSError`.
    """
    above = next(path for path in (directory, *directory.parents) if path.is_dir())
    name = f".check-{os.getpid()}-{os.urandom(8).hex()}"
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with _opened(os.open(above, flags)) as parent:
        os.mkdir(name, 0o700, dir_fd=parent)
        try:
            with _opened(os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)) as corner:
                try:
                    yield corner
                finally:
                    for entry in os.listdir(corner):  # noqa: PTH208 - by descriptor
                        os.unlink(entry, dir_fd=corner)
        finally:
            os.rmdir(name, dir_fd=parent)


@contextlib.contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)

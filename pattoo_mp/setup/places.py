"""Directories reached and changed by descriptor: nobody can swap a part of the way meanwhile.

`pattoo_mp_setup` runs as root, and some of the directories that it makes or removes may be below one
of the agent's user. That user can put links there, and exchange names at any moment. So each step of
the way is opened from the one before (openat(2), O_NOFOLLOW), and what was opened is changed
(fchown(2)), never a path. A link is followed only where root alone can have made it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: As many as the kernel follows (path_resolution(7)).
_MOST_LINKS: Final = 40
_SHARED: Final = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def opened(path: Path, root: Path = Path("/"), *, make: bool = False) -> Iterator[int]:
    """Open the directory `path`, which is below `root`, step by step; yield its descriptor.

    `make` makes what is missing, for root, with mode 0755. Raises `OSError` that names the step: for a
    link that another user may have made, for example.
    """
    way = _Way(root)
    try:
        rest = list(path.relative_to(root).parts)
        while rest:
            rest = way.enter(rest[0], make=make) + rest[1:]
        yield way.descriptor
    finally:
        way.close()


class _Way:
    """The directories that were entered so far, from `root` on, each by its descriptor."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._steps = [(os.open(root, _DIRECTORY & ~os.O_NOFOLLOW), root)]
        self._links = 0

    @property
    def descriptor(self) -> int:
        return self._steps[-1][0]

    def close(self) -> None:
        while self._steps:
            os.close(self._steps.pop()[0])

    def enter(self, name: str, *, make: bool) -> list[str]:
        """Enter a directory; if it is a link, return the names that lead to its target instead."""
        if name == "..":  # of a link; no way leads above the root
            if len(self._steps) > 1:
                os.close(self._steps.pop()[0])
            return []
        here, path = self.descriptor, self._steps[-1][1] / name
        try:
            self._steps.append((self._open(name, path, make=make), path))
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR} or not _is_link(here, name):
                raise OSError(error.errno, error.strerror, str(path)) from None
            return self._follow(name, path)
        return []

    def _open(self, name: str, path: Path, *, make: bool) -> int:
        here = self.descriptor
        try:
            return os.open(name, _DIRECTORY, dir_fd=here)
        except FileNotFoundError:
            if not make:
                raise
        return _made(here, name, path, 0o755, None)

    def _follow(self, name: str, path: Path) -> list[str]:
        here = self.descriptor
        self._links += 1
        link = os.stat(name, dir_fd=here, follow_symlinks=False)
        if not (is_ours_alone(here) and link.st_uid in {0, os.geteuid()}):
            raise OSError(
                errno.ELOOP, "is a symbolic link, and another user may have made it", str(path)
            )
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = Path(os.readlink(name, dir_fd=here))
        if target.is_absolute():
            while len(self._steps) > 1:
                os.close(self._steps.pop()[0])
        return [part for part in target.parts if part != target.root]


def _is_link(directory: int, name: str) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    return False


def is_ours_alone(directory: int) -> bool:
    """Whether nobody but root, or the user who runs this, can change the names in a directory."""
    found = os.fstat(directory)
    is_shared = bool(found.st_mode & _SHARED) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in {0, os.geteuid()} and not is_shared


def make_directory(path: Path, root: Path, mode: int, owner: tuple[int, int] | None) -> None:
    """Make a directory with exactly this mode and owner, and its parents. Raises `OSError`."""
    with opened(path.parent, root, make=True) as parent:
        os.close(_made(parent, path.name, path, mode, owner))


def _made(parent: int, name: str, path: Path, mode: int, owner: tuple[int, int] | None) -> int:
    """Make a directory; return its descriptor.

    Somebody who can change the names in `parent` may put another one in its place before it is opened.
    Only one that was there before could be root's as well: to move a directory to another parent
    takes the right to write to it. So a new, empty directory of ours is the one that we made.
    """
    with os.scandir(parent) as entries:
        before = {entry.inode() for entry in entries}
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        _require_new(descriptor, before, path)
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_new(descriptor: int, before: set[int], path: Path) -> None:
    found = os.fstat(descriptor)
    is_new = found.st_ino not in before and found.st_uid == os.geteuid()
    if not is_new or os.listdir(descriptor):
        raise OSError(errno.EBUSY, "was exchanged by another user while it was made", str(path))


@contextmanager
def named(path: Path, root: Path, *, make: bool = False) -> Iterator[Path]:
    """Yield a name for `path` that is bound to its directory, whatever becomes of the way there.

    Raises `OSError` with the real path, also for what fails in the block.
    """
    with opened(path.parent, root, make=make) as parent:
        try:
            yield Path(f"/proc/self/fd/{parent}/{path.name}")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def remove_tree(path: Path, root: Path, owners: set[int]) -> None:
    """Remove a directory with all its content, but nothing of another file system.

    It has to belong to one of `owners`: where another user can exchange names, it may be another
    directory than the one that was made. Raises `OSError`.
    """
    with opened(path.parent, root) as parent:
        try:
            descriptor = os.open(path.name, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        try:
            found = os.fstat(descriptor)
            if found.st_uid not in owners and not is_ours_alone(parent):
                raise OSError(errno.EPERM, "does not belong to the agent's user", str(path))
            if os.fstat(parent).st_dev != found.st_dev:
                raise OSError(errno.EXDEV, "is on a file system of its own", str(path))
            _empty(descriptor, found.st_dev, path)
        except RecursionError:
            raise OSError(errno.ELOOP, "has too many levels", str(path)) from None
        finally:
            os.close(descriptor)
        try:
            os.rmdir(path.name, dir_fd=parent)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def _empty(directory: int, device: int, path: Path) -> None:
    for name in os.listdir(directory):
        try:
            inner = os.open(name, _DIRECTORY, dir_fd=directory)
        except FileNotFoundError:
            continue
        except OSError:  # no directory, or a link
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
            continue
        try:
            if os.fstat(inner).st_dev != device:
                raise OSError(errno.EXDEV, "is another file system; unmount it", str(path / name))
            _empty(inner, device, path / name)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=directory)

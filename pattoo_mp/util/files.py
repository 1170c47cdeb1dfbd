"""Create, open and replace private files and directories, and explain denied access to them.

Everything is made for the agent's user alone. In a directory that others can write to (such as
/tmp), another user could place a symbolic link where the agent expects its own file, and the
agent would write to the link's target. So links are not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.util import trust
from pattoo_mp.util.users import user_name

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Errors of file systems that cannot sync a directory (fsync(2)).
_NO_SYNC: Final = {errno.EINVAL, errno.ENOTSUP}


def make_directory(path: Path) -> None:
    """Make a private directory and its parents. Raises `OSError`.

    Another user must not be able to change the way to it (`trust.examine`).
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if problem := trust.examine(path, os.geteuid()).problem:
        raise PermissionError(errno.EPERM, problem, str(path))


def open_file(path: Path, flags: int) -> int:
    """Open a private file; O_CREAT makes it with mode 0600. Raises `OSError` for a link."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(
                errno.ELOOP, "is a symbolic link, and links are not followed", str(path)
            ) from None
        raise


def read_file(path: Path, most_bytes: int) -> bytes:
    """Return the first `most_bytes` of a private file. Raises `OSError`; never waits.

    It has to be a regular file: another program may have put a named pipe, a device or a link there.
    """
    with open(open_regular_file(path), "rb") as file:
        return file.read(most_bytes)


def open_regular_file(path: Path) -> int:
    """Open a private file for reading, as `read_file` does. Raises `OSError`; never waits."""
    descriptor = open_file(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _require_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_file(path: Path) -> None:
    """Make an empty private file unless it exists. Raises `OSError`, also if it is no regular file."""
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK)
    try:
        _require_regular(descriptor, path)
    finally:
        os.close(descriptor)


def _require_regular(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def replace_file(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file atomically and durably.

    A crash leaves the old content or the new, and the new one once this has returned. Raises an
    `OSError` that names `path`, and then leaves no temporary file.
    """
    with _temporary_file(path, content, mode) as temporary:
        temporary.replace(path)


def create_file(path: Path, content: str | bytes, mode: int = 0o600) -> bool:
    """Write a file as `replace_file` does, unless it exists; return whether it was created.

    If several processes do this at once, exactly one of them creates the file.
    """
    with _temporary_file(path, content, mode) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    return True


@contextmanager
def _temporary_file(path: Path, content: str | bytes, mode: int) -> Iterator[Path]:
    """A synced file with the content beside `path`. On exit the directory is synced, too."""
    # Hidden, since a configuration directory is read by file names.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # In a container, our processes get the same ids again after a kill.
        temporary.unlink(missing_ok=True)
        descriptor = open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(descriptor)
            yield temporary
            _sync_directory(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises `OSError` if the disk fails."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # writable for us, but not readable
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


# --- who was denied access to what: the ends of messages


def as_user(name: str) -> str:
    """Return the end of a message about an attempt that was made as user `name`."""
    return f", as {name}"


def path_permissions(path: Path) -> str:
    """Return the end of a message about denied access to `path`.

    It names our user, and owner and mode of `path` or of its nearest parent that can be seen.
    """
    us = _as_ourselves()
    at = next((near for near in (path, *path.parents) if os.path.lexists(near)), path)
    with suppress(OSError):
        found = at.stat()
        what = "it" if at == path else at
        return (
            f"{us}: {user_name(found.st_uid)} owns {what} (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    return us


def process_owner(pid: int) -> str:
    """Return the end of a message about denied access to a process: our user and its user."""
    with suppress(OSError):
        owner = user_name(Path(f"/proc/{pid}").stat().st_uid)
        return f"{_as_ourselves()}: {owner} runs it"
    return _as_ourselves()


def reason(error: OSError, path: Path) -> str:
    """Return the text of an error about `path`.

    With `path_permissions` if access was denied, and with what the disk lacks if that is not space.
    """
    words = error.strerror or str(error)
    if error.errno == errno.ENOSPC and _has_no_inodes(path):
        return f"{words}: no inodes are left"
    return f"{words}{path_permissions(path)}" if error.errno == errno.EACCES else words


def _has_no_inodes(path: Path) -> bool:
    """Whether the disk of a path has no inodes left. 0 in all: it makes them as they are needed."""
    for near in (path, *path.parents):
        with suppress(OSError):
            disk = os.statvfs(near)
            return bool(disk.f_files) and not disk.f_favail
    return False


def _as_ourselves() -> str:
    return as_user(user_name(os.geteuid()))

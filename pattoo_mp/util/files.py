"""Files and directories for the agent's user alone, where nobody else can lay a trap.

A directory that others may write to (/tmp, say) may hold a link where the agent expects a file of
its own, and what the agent writes would go to wherever the link points. So links are not followed.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


#: What file systems say that know no sync of a directory (fsync(2)).
_NO_SYNC: Final = {errno.EINVAL, errno.ENOTSUP}


def make_directory(path: Path) -> None:
    """Make a directory of the agent's own, and its parents. Raises `OSError`.

    In a place where everybody may write, one that is there already must be ours or root's.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_laid_by_another(path):
        raise PermissionError(
            1, "somebody else's, in a directory that everybody may write to", str(path)
        )


def is_laid_by_another(path: Path) -> bool:
    """Whether what is there may be a trap: not ours nor root's, where everybody may write."""
    found = path.lstat()
    is_public = bool(path.parent.stat().st_mode & stat.S_IWOTH)
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {os.geteuid(), 0}
    return is_public and not is_ours


def open_file(path: Path, flags: int) -> int:
    """Open a file of the agent's own, or make it (mode 0600). Raises `OSError` for a link."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(
                errno.ELOOP, "is a symbolic link, and links are not followed", str(path)
            ) from None
        raise


def replace_file(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file so that no crash leaves half of one, nor an older one once this has returned.

    Raises an `OSError` that names `path`; then nothing is left beside it.
    """
    with _written_aside(path, content, mode) as aside:
        aside.replace(path)


def create_file(path: Path, content: str | bytes, mode: int = 0o600) -> bool:
    """The same for a file that is to stay as it is once it is there: then false, and it does.

    Of several processes that do so at once one alone makes it.
    """
    with _written_aside(path, content, mode) as aside:
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
    return True


@contextmanager
def _written_aside(path: Path, content: str | bytes, mode: int) -> Iterator[Path]:
    """The content in a file beside `path`, synced; what is done to it inside will last, too."""
    # Hidden: a directory of configurations is read by what its files are called.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # In a container each process of ours has the same number again after a kill.
        aside.unlink(missing_ok=True)
        descriptor = open_file(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(descriptor)
            yield aside
            _sync_directory(path.parent)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_directory(directory: Path) -> None:
    """Let a name that was given in it last. Raises `OSError` if the disk fails."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # one that we may write to, and not read
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


# Who we are, and whose a file is: for a line about what we may not do.


def user_name(uid: int) -> str:
    """The name of a user; its number, if this host knows none of it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def as_user(name: str) -> str:
    """To follow what shows to one user, and may not to another."""
    return f", as {name}"


def denied(path: Path) -> str:
    """To follow what we may not do with `path`: who we are, and who owns what is in the way."""
    us = _as_ourselves()
    at = next((near for near in (path, *path.parents) if os.path.lexists(near)), path)
    with suppress(OSError):
        found = at.stat()
        what = "it" if at == path else at
        return (
            f"{us}: {user_name(found.st_uid)} owns {what} (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    return us


def not_ours(pid: int) -> str:
    """To follow what we may not do with a process: who we are, and who runs it."""
    with suppress(OSError):
        owner = user_name(Path(f"/proc/{pid}").stat().st_uid)
        return f"{_as_ourselves()}: {owner} runs it"
    return _as_ourselves()


def reason(error: OSError, path: Path) -> str:
    """The words of an error about `path`, with `denied` where it is about rights."""
    words = error.strerror or str(error)
    return f"{words}{denied(path)}" if error.errno == errno.EACCES else words


def _as_ourselves() -> str:
    return as_user(user_name(os.geteuid()))

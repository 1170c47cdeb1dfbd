"""Files and directories for the agent's user alone, where nobody else can lay a trap.

A directory that others may write to (/tmp, say) may hold a link where the agent expects a file of
its own, and what the agent writes would go to wherever the link points. So links are not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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


def replace_file(path: Path, text: str) -> None:
    """Write a file of the agent's own so that no crash can leave half of one. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = open_file(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)

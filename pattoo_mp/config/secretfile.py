"""Reads a file that holds a secret, if it is one: a file that its reader alone can read.

As ssh does with its keys. A secret that others can read is one no longer, and it is better said at
once than found out later.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: A chain of certificates with its key is some 10 kB.
LARGEST_BYTES: Final = 1 << 20

EXPECTED: Final = "a file of the agent's user, with mode 0600 or 0400"

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class NotSecretError(Exception):
    """The file is no place for a secret; the message says why, to follow its path."""


def read(path: Path) -> bytes:
    """The content of a file that is ours alone; links are followed.

    Raises `NotSecretError` where it is not, and `OSError`.
    """
    # What is not a regular file is not waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_BYTES)
    finally:
        os.close(descriptor)


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotSecretError("is not a regular file")
    if found.st_size > LARGEST_BYTES:
        raise NotSecretError(f"is larger than {LARGEST_BYTES} bytes")
    if found.st_mode & _OTHERS:
        raise NotSecretError(
            f"may be used by others than its owner (mode {stat.S_IMODE(found.st_mode):04o})"
        )
    # Root may ask on behalf of the agent's user.
    if os.geteuid() and found.st_uid != os.geteuid():
        raise NotSecretError("is somebody else's")

"""Rotation by size and count: pattoo.log becomes pattoo.log.1, that one pattoo.log.2, and so on.

Only control rotates. The other processes notice the rename by the file's device and inode number. A
file that a program outside the agent writes to is not rotated, as that program would keep writing
to the renamed file: docs/decisions/011-one-log-three-writers.md.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp.log.outlets import APPENDING
from pattoo_mp.util import files

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)

#: How often the size is checked.
_CHECK_S: Final = 1.0
#: The wait after a failed rotation.
_RETRY_S: Final = 60.0
#: How many descriptors an attempt examines: about ten milliseconds.
_AT_ONCE: Final = 2_000


class Rotation:
    """Rotates `path` once it has `max_bytes` (0: never), and keeps `backups` older files."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._not_before = 0.0
        #: The unfinished search for other writers.
        self._search: Iterator[str] | None = None

    def attempt(self) -> bool:
        """Rotate if the file is large enough; return whether it was rotated."""
        now = time.monotonic()
        if not self._max_bytes or now < self._not_before:
            return False
        self._not_before = now + _CHECK_S
        try:
            size = self._path.lstat().st_size
            if size < self._max_bytes:
                self._search = None
                return False
            writer = self._find_writer()
            if writer is None:
                return False
            self._not_before = now + _RETRY_S
            if writer:
                _LOG.warning(
                    "%s has reached log_max_bytes but is not rotated: %s also writes to it and would "
                    "keep writing to the renamed file. Stop that program, or set log_max_bytes to 0 "
                    "and use logrotate with copytruncate.",
                    self._path, writer,
                )  # fmt: skip
                return False
            rotate(self._path, self._backups)
        except OSError as error:
            _LOG.warning(
                "%s cannot be rotated and keeps growing: %s. "
                "The agent must be able to write to its directory.",
                error.filename or self._path, error.strerror,
            )  # fmt: skip
            return False
        self._not_before = now + _CHECK_S
        return True

    def _find_writer(self) -> str | None:
        """Return another writer of the file, "" if there is none, None if the search is unfinished.

        The next attempt continues it: control has other work waiting, and some hosts have many
        thousands of descriptors.
        """
        search = self._search or writers(self._path)
        self._search = None
        for _ in range(_AT_ONCE):
            writer = next(search, None)
            if writer is None or writer:
                return writer or ""
        self._search = search
        return None


def rotate(path: Path, backups: int) -> None:
    """Rename each file to the next number, and create a new one with the mode and owner of the old.

    Raises `OSError`. A kill in between leaves a number without a file. The next rotation renames
    only the files below it, so no backup is deleted early.
    """
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, backups + 1))]
    first_free = next((i for i, name in enumerate(names) if not _exists(name)), backups)
    for i in range(first_free, 0, -1):
        names[i - 1].rename(names[i])
    old = names[1].stat()
    descriptor = files.open_file(path, APPENDING)
    try:
        with suppress(PermissionError):  # we may not be in its group
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    finally:
        os.close(descriptor)


def writers(path: Path) -> Iterator[str]:
    """Yield the processes outside our process group that have the file open for writing.

    An empty text is yielded for each other descriptor, so that the caller can pause the search.

    Other pattoo programs write to the same file and never reopen it. Only root sees the descriptors
    of other users' processes (proc(5)), but programs that share a log usually run as one user.
    """
    wanted = path.lstat()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or _is_ours(int(entry.name)):
            continue
        for number in _descriptors(entry):
            is_writing = _is_writing(entry, number, path.name, wanted)
            yield _named(entry) if is_writing else ""


def _exists(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.lstat()
        return True
    return False


def _is_ours(pid: int) -> bool:
    try:
        return os.getpgid(pid) == os.getpgrp()
    except OSError:
        return True  # it has ended


def _named(process: Path) -> str:
    """Return a process's id and name; empty if it has ended."""
    with suppress(OSError):
        return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _descriptors(process: Path) -> list[str]:
    with suppress(OSError):
        return os.listdir(process / "fd")  # noqa: PTH208 - there may be many thousands
    return []


def _is_writing(process: Path, number: str, name: str, wanted: os.stat_result) -> bool:
    """Whether a descriptor is open for writing to the file `wanted`.

    The file itself is examined last, and only if name and inode number match: another file may be
    on a file server that does not answer. The kernel knows the rest without asking the file system.
    """
    link = f"{process}/fd/{number}"
    try:
        return (
            os.readlink(link).endswith(f"/{name}")  # noqa: PTH115 - as above
            # In /proc/PID/fd a link's mode shows how the file was opened.
            and bool(os.lstat(link).st_mode & stat.S_IWUSR)
            and _inode(process, number) in {wanted.st_ino, None}
            and os.path.samestat(Path(link).stat(), wanted)
        )
    except OSError:
        return False  # it was closed meanwhile


def _inode(process: Path, number: str) -> int | None:
    """Return the inode number by proc_pid_fdinfo(5); None before Linux 5.14."""
    text = (process / "fdinfo" / number).read_text()
    found = re.search(r"^ino:\s*(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None

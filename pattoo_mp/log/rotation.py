"""Rotation by size and count: pattoo.log becomes pattoo.log.1, that one pattoo.log.2, and so on.

One process rotates: control. The others notice by the file's identity that the name has moved.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pattoo_mp import private
from pattoo_mp.log.outlets import APPENDING

_LOG = logging.getLogger(__name__)

#: How often the size is looked at.
_LOOK_S: Final = 1.0
#: How long a file is left alone that could not be rotated.
_RETRY_S: Final = 60.0


class Rotation:
    """Rotates `path` once it has `max_bytes` (0: never), and keeps `backups` older ones."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._not_before = 0.0

    def attempt(self) -> bool:
        """Rotate if it is time to. Whether it was done: then there is a new file."""
        now = time.monotonic()
        if not self._max_bytes or now < self._not_before:
            return False
        self._not_before = now + _LOOK_S
        try:
            size = self._path.lstat().st_size
            if size < self._max_bytes:
                return False
            self._not_before = now + _RETRY_S
            writer = other_writer(self._path)
            if writer:
                _LOG.warning(
                    "%s has reached log_max_bytes and is not rotated: %s writes to it, too, and "
                    "would go on in the renamed file. It grows until that program has ended; "
                    "or rotate it with logrotate and copytruncate, and set log_max_bytes to 0.",
                    self._path, writer,
                )  # fmt: skip
                return False
            rotate(self._path, self._backups)
        except OSError as error:
            _LOG.warning(
                "%s is not rotated, and grows: %s. Its directory must be writable to the agent.",
                error.filename or self._path, error.strerror,
            )  # fmt: skip
            return False
        self._not_before = now + _LOOK_S
        return True


def rotate(path: Path, backups: int) -> None:
    """Move each file one number up, and begin a new one with the mode and owner of the old.

    Raises `OSError`. A kill in the middle leaves a number without a file; only the files below it
    are moved the next time, so none goes before its turn.
    """
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, backups + 1))]
    first_free = next((i for i, name in enumerate(names) if not _is_there(name)), backups)
    for i in range(first_free, 0, -1):
        names[i - 1].rename(names[i])
    old = names[1].stat()
    descriptor = private.open_file(path, APPENDING)
    try:
        with suppress(PermissionError):  # the group may be one that we are not in
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    finally:
        os.close(descriptor)


def other_writer(path: Path) -> str:
    """A process, not of our process group, that has the file open for writing; empty if none.

    Other pattoo programs write to the same file and never open it anew. Of other users' processes
    the kernel tells only root (proc(5)); but who shares a log is most often the same user.
    """
    wanted = path.lstat()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and not _is_ours(int(entry.name)) and _writes(entry, wanted):
            with suppress(OSError):
                return f"process {entry.name} ({(entry / 'comm').read_text().strip()})"
    return ""


def _is_there(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.lstat()
        return True
    return False


def _is_ours(pid: int) -> bool:
    try:
        return os.getpgid(pid) == os.getpgrp()
    except OSError:
        return True  # gone by now


def _writes(process: Path, wanted: os.stat_result) -> bool:
    with suppress(OSError):
        return any(
            os.path.samestat(descriptor.stat(), wanted)
            # In /proc/PID/fd a link's mode tells how the file was opened.
            and descriptor.lstat().st_mode & stat.S_IWUSR
            for descriptor in (process / "fd").iterdir()
        )
    return False

"""Rotation by size and count: pattoo.log becomes pattoo.log.1, that one pattoo.log.2, and so on.

One process rotates: control. The others notice by the file's identity that the name has moved.
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

#: How often the size is looked at.
_LOOK_S: Final = 1.0
#: How long a file is left alone that could not be rotated.
_RETRY_S: Final = 60.0
#: So many descriptors are looked at in one go: some ten milliseconds.
_AT_ONCE: Final = 2_000


class Rotation:
    """Rotates `path` once it has `max_bytes` (0: never), and keeps `backups` older ones."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._not_before = 0.0
        #: A look for others who write to the file that is full, as far as it has come.
        self._looking: Iterator[str] | None = None

    def attempt(self) -> bool:
        """Rotate if it is time to. Whether it was done: then there is a new file."""
        now = time.monotonic()
        if not self._max_bytes or now < self._not_before:
            return False
        self._not_before = now + _LOOK_S
        try:
            size = self._path.lstat().st_size
            if size < self._max_bytes:
                self._looking = None
                return False
            writer = self._look_for_writer()
            if writer is None:
                return False
            self._not_before = now + _RETRY_S
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

    def _look_for_writer(self) -> str | None:
        """Who else writes to the file, empty if nobody does; None if the look is to go on.

        It goes on with the next attempt: control has others waiting, and some hosts have many
        thousands of descriptors.
        """
        looking = self._looking or writers(self._path)
        self._looking = None
        for _ in range(_AT_ONCE):
            writer = next(looking, None)
            if writer is None or writer:
                return writer or ""
        self._looking = looking
        return None


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
    descriptor = files.open_file(path, APPENDING)
    try:
        with suppress(PermissionError):  # the group may be one that we are not in
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    finally:
        os.close(descriptor)


def writers(path: Path) -> Iterator[str]:
    """Processes, not of our process group, that have the file open for writing.

    One by one, with an empty text for each descriptor that was looked at in vain.

    Other pattoo programs write to the same file and never open it anew. Of other users' processes
    the kernel tells only root (proc(5)); but who shares a log is most often the same user.
    """
    wanted = path.lstat()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or _is_ours(int(entry.name)):
            continue
        for number in _descriptors(entry):
            is_writing = _is_writing(entry, number, path.name, wanted)
            yield _named(entry) if is_writing else ""


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


def _named(process: Path) -> str:
    """What a person finds it by; empty if it has ended."""
    with suppress(OSError):
        return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _descriptors(process: Path) -> list[str]:
    with suppress(OSError):
        return os.listdir(process / "fd")  # noqa: PTH208 - there may be many thousands
    return []


def _is_writing(process: Path, number: str, name: str, wanted: os.stat_result) -> bool:
    """Whether this descriptor is of the file that is looked for, and open for writing.

    Only of one that has its name and its inode number the file itself is asked: another one may lie
    on a file server that does not answer. All before that the kernel knows by itself.
    """
    link = f"{process}/fd/{number}"
    try:
        return (
            os.readlink(link).endswith(f"/{name}")  # noqa: PTH115 - as above
            # In /proc/PID/fd a link's mode tells how the file was opened.
            and bool(os.lstat(link).st_mode & stat.S_IWUSR)
            and _inode(process, number) in {wanted.st_ino, None}
            and os.path.samestat(Path(link).stat(), wanted)
        )
    except OSError:
        return False  # closed by now; the others of the process are looked at all the same


def _inode(process: Path, number: str) -> int | None:
    """By proc_pid_fdinfo(5); None before Linux 5.14."""
    text = (process / "fdinfo" / number).read_text()
    found = re.search(r"^ino:\s*(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None

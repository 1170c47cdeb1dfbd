"""A directory of text files, each read again only when it has changed.

Nothing but a regular file is opened: to open a device may do something, and a FIFO has a writer to
wait for. Links are followed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

C = TypeVar("C")

SUFFIX: Final = ".prom"
MOST_FILES: Final = 100
#: Of all files together.
MOST_BYTES: Final = 1 << 20
_NO_FILE: Final = "is no regular file"
_NO_ROOM: Final = f"is too large: all files together may have {MOST_BYTES} bytes"
_TOO_MANY: Final = f"and those after it are too many: {MOST_FILES} files are read"


@dataclass(frozen=True, slots=True)
class TextFile(Generic[C]):
    """A file as it was last seen.

    `written_s` is when it was written (Unix time), None where that is not known. `content` is what
    was made of it, None where `problem` says why there is nothing.
    """

    written_s: float | None
    content: C | None
    problem: str = ""
    size: int = 0
    version: tuple[int, ...] = ()


class Directory(Generic[C]):
    """The files of a directory whose names end in `SUFFIX`, as `parse` makes something of them.

    `parse` raises `ValueError` for a file that is of no use; its words are the problem.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], C]) -> None:
        self._path = path
        self._parse = parse
        self._known: dict[str, TextFile[C]] = {}

    def files(self) -> dict[str, TextFile[C]]:
        """By name, in the order of names; the very same as before where a file is.

        Raises `OSError` where there is no such directory, or none that can be read.
        """
        names = sorted(name for name in os.listdir(self._path) if name.endswith(SUFFIX))  # noqa: PTH208 - names are all that is wanted
        room = MOST_BYTES
        found: dict[str, TextFile[C]] = {}
        for name in names[:MOST_FILES]:
            file = self._file(name, room)
            if file is not None:
                found[name] = file
                room -= file.size
        self._known = dict(found)
        found |= {name: TextFile(None, None, _TOO_MANY) for name in names[MOST_FILES:][:1]}
        return found

    def _file(self, name: str, room: int) -> TextFile[C] | None:
        """The file, or why it is left out; None if it is not there any more."""
        path = self._path / name
        try:
            status = path.stat()
            known = self._known.get(name)
            if known is not None and known.version == _version(status) and known.size <= room:
                return known
            return self._unfit(status, room) or self._read(path, room)
        except FileNotFoundError:
            return TextFile(None, None, "is a link to nothing") if path.is_symlink() else None
        except OSError as error:
            return TextFile(None, None, error.strerror or str(error))

    def _unfit(self, status: os.stat_result, room: int) -> TextFile[C] | None:
        if not stat.S_ISREG(status.st_mode):
            return TextFile(None, None, _NO_FILE)
        return TextFile(status.st_mtime, None, _NO_ROOM) if status.st_size > room else None

    def _read(self, path: Path, room: int) -> TextFile[C]:
        # What lies there may have been exchanged since it was looked at.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            unfit = self._unfit(status, room)
            content = b"" if unfit else file.read(room + 1)
        if unfit:
            return unfit
        if len(content) > room:  # it grew
            return TextFile(status.st_mtime, None, _NO_ROOM)
        about = (len(content), _version(status))
        try:
            return TextFile(status.st_mtime, self._parse(content), "", *about)
        except ValueError as error:
            return TextFile(status.st_mtime, None, str(error), *about)


def _version(status: os.stat_result) -> tuple[int, ...]:
    """What is another once a file was written to, or another renamed into its place."""
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip

"""Outlets of the log: its file and stderr. Neither blocks or ends a process.

Lines that cannot be written are counted. The count is written as soon as that is possible again.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.log.line import Line
from pattoo_mp.util import files
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from pattoo_mp.log.line import Format

#: O_NONBLOCK: opening a FIFO in place of the log fails instead of blocking.
APPENDING: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
#: The largest atomic write to a pipe: PIPE_BUF of pipe(7).
_PIPE_BYTES: Final = 4096


class Outlet(ABC):
    """Writes lines. `lost` is the number of unwritten lines that were not reported yet."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self.lost = 0
        self._why = ""
        self._torn = False

    def take_over(self, former: Outlet) -> None:
        """Take over the unreported losses of the outlet that this one replaces."""
        self.lost, self._why, self._torn = former.lost, former._why, former._torn

    def put(self, line: Line) -> None:
        """Write a line, or count it as lost."""
        self.report_lost()
        if self.lost or not self._try(line):
            self.lost += 1

    def report_lost(self) -> None:
        """Write how many lines were lost, if that can be written now."""
        if self.lost:
            text = f"{counted(self.lost, 'line')} could not be written here: {self._why}."
            if self._try(Line(time.time(), logging.WARNING, __name__, text, text)):
                self.lost = 0

    @abstractmethod
    def reopen(self) -> None:
        """Close and open again."""

    @abstractmethod
    def close(self) -> None:
        """Close."""

    @abstractmethod
    def _write(self, content: bytes) -> None:
        """Write all of `content`. Raises `OSError`."""

    def _try(self, line: Line) -> bool:
        content = self._form(line).encode("utf-8", "backslashreplace")
        try:
            # After a partly written line, the next one starts on a new line.
            self._write(b"\n" + content if self._torn else content)
        except OSError as error:
            self._why = error.strerror or type(error).__name__
            return False
        self._torn = False
        return True

    def _write_to(self, descriptor: int, content: bytes) -> None:
        written = os.write(descriptor, content)
        while written < len(content):
            self._torn = True
            written += os.write(descriptor, content[written:])


class LogFile(Outlet):
    """Appends to a file that other processes append to as well, and that a rotation may rename.

    Each line is one write(2) with O_APPEND, so lines of several processes never mix. After any
    rename, the next line goes into the file that has the name then. Links are not followed.
    """

    def __init__(self, path: Path, form: Format) -> None:
        super().__init__(form)
        self._path = path
        self._descriptor = -1
        self._identity = (0, 0)

    def open(self) -> None:
        """Open the file that has the name now; make its directory if that was removed.

        Raises `OSError`, and then leaves the old file open.
        """
        try:
            descriptor = files.open_file(self._path, APPENDING)
        except FileNotFoundError:
            files.make_directory(self._path.parent)
            descriptor = files.open_file(self._path, APPENDING)
        self.close()
        found = os.fstat(descriptor)
        self._descriptor, self._identity = descriptor, (found.st_dev, found.st_ino)

    def reopen(self) -> None:
        """Open the file that has the name now, if possible."""
        with suppress(OSError):  # the next line tries again, and is counted if that fails
            self.open()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, content: bytes) -> None:
        if not self._is_current():
            try:
                self.open()
            except OSError:
                if not self._has_a_name():
                    raise
        self._write_to(self._descriptor, content)

    def _is_current(self) -> bool:
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return self._descriptor >= 0 and (found.st_dev, found.st_ino) == self._identity

    def _has_a_name(self) -> bool:
        """Whether the open file, though renamed, still exists in a directory."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink > 0


class Stream(Outlet):
    """A pipe, a socket or a terminal. Nothing is written while its reader does not read."""

    def __init__(self, descriptor: int, form: Format) -> None:
        super().__init__(form)
        self._descriptor = descriptor

    def reopen(self) -> None:
        """Do nothing: a stream cannot be renamed."""

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the whole process."""

    def _write(self, content: bytes) -> None:
        for start in range(0, len(content), _PIPE_BYTES):
            if not select.select([], [self._descriptor], [], 0)[1]:
                raise BlockingIOError(errno.EAGAIN, "it is not being read")
            self._write_to(self._descriptor, content[start : start + _PIPE_BYTES])
            self._torn = start + _PIPE_BYTES < len(content)

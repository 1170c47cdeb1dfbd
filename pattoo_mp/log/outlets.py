"""Where lines go: the log's file, and stderr. Neither ever holds a process up, nor ends it.

What cannot be written is counted, and told as soon as something can be written again.
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

#: O_NONBLOCK: a FIFO that lies in the log's place is an error, and not waited for.
APPENDING: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
#: What a pipe takes at once if it takes anything: PIPE_BUF of pipe(7).
_PIPE_BYTES: Final = 4096


class Outlet(ABC):
    """Takes lines. `lost` counts those that could not be written and are not told of yet."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self.lost = 0
        self._why = ""
        self._torn = False

    def take_over(self, former: Outlet) -> None:
        """Go on where an outlet to the same place, or to the one before, cannot."""
        self.lost, self._why, self._torn = former.lost, former._why, former._torn

    def put(self, line: Line) -> None:
        """Write a line, or count it."""
        self.tell_lost()
        if self.lost or not self._try(line):
            self.lost += 1

    def tell_lost(self) -> None:
        """Say how many lines could not be written, if that can be written now."""
        if self.lost:
            text = f"{counted(self.lost, 'line')} could not be written here: {self._why}."
            if self._try(Line(time.time(), logging.WARNING, __name__, text, text)):
                self.lost = 0

    @abstractmethod
    def reopen(self) -> None:
        """Let go of what is open, and open it anew."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    @abstractmethod
    def _write(self, content: bytes) -> None:
        """Write it all. Raises `OSError`."""

    def _try(self, line: Line) -> bool:
        content = self._form(line).encode("utf-8", "backslashreplace")
        try:
            # After half a line that found no room a whole one begins with a line of its own.
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
    """Appends to a file that others append to as well, and that a rotation may rename.

    Each line is one write(2) with O_APPEND, so lines of several processes never mix. Whoever
    renamed the file: the next line goes into the one that has the name. Links are not followed.
    """

    def __init__(self, path: Path, form: Format) -> None:
        super().__init__(form)
        self._path = path
        self._descriptor = -1
        self._identity = (0, 0)

    def open(self) -> None:
        """Open the file that has the name now, in a directory that is made again if it was removed.

        Raises `OSError`, and keeps what is open.
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
        """Open the file that has the name now, if it can be opened."""
        with suppress(OSError):  # the next line meets it again, and is counted if need be
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
        """Whether what is open, though renamed, can still be found and read by a person."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink > 0


class Stream(Outlet):
    """A pipe, a socket or a terminal. If nobody reads there, nothing is written."""

    def __init__(self, descriptor: int, form: Format) -> None:
        super().__init__(form)
        self._descriptor = descriptor

    def reopen(self) -> None:
        """Keep it: nobody renames a stream."""

    def close(self) -> None:
        """Keep it: it is the whole process's."""

    def _write(self, content: bytes) -> None:
        for start in range(0, len(content), _PIPE_BYTES):
            if not select.select([], [self._descriptor], [], 0)[1]:
                raise BlockingIOError(errno.EAGAIN, "nobody reads it")
            self._write_to(self._descriptor, content[start : start + _PIPE_BYTES])
            self._torn = start + _PIPE_BYTES < len(content)

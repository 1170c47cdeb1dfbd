"""Read the log: its last records, chosen by level, and what is added to it, through rotations.

A record is a line as pattoo programs begin them, with the lines that continue it, such as a traceback. A
log may have gigabytes, and may hold whatever its writers were sent: it is read in blocks from its end, and
each line is cut to a length and made printable.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.util import files
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The levels, lowest first.
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_NAMES: Final = "|".join(LEVELS)
#: How a record begins: our text, our JSON, and the text of the original library (`time - logger - level`).
_HEAD: Final = re.compile(
    rf'(?:\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} (?:- \S{{1,100}} - )?|\{{"time": "[^"]{{1,40}}", "level": ")'
    rf"({_NAMES})\b".encode(),
    re.IGNORECASE,
)
_HEAD_BYTES: Final = 200
_BLOCK_BYTES: Final = 1 << 18
#: The longest line that is shown whole: more than any of ours with its traceback, as JSON.
_LINE_BYTES: Final = 1 << 17
#: How much is searched for records, from the end of the newest file. By default the files have 60 MB in all.
SEARCHED_BYTES: Final = 64_000_000
#: `log_backups` is at most that.
_MOST_BACKUPS: Final = 100


def level_of(line: bytes) -> int | None:
    """Return the level of the record that begins with this line; None if it continues one."""
    found = _HEAD.match(line)
    return logging.getLevelNamesMapping()[found[1].decode().upper()] if found else None


class LogReader:
    """Reads the records of the log `path` that have at least the level `least`, oldest first.

    `begin`, then `read` until it `is_at_end`, or for ever; `finish` gives a last line without its end. Each
    may take as long as the file system does.
    """

    def __init__(self, path: Path, least: int = 0) -> None:
        self._path = path
        self._least = least
        #: Open files that are still to be read, the current one last.
        self._files: deque[_File] = deque()
        self._rest = b""
        self._skips = False
        self._shows = not least
        self._is_renamed = False
        self.is_at_end = False
        #: Whether records were searched for in a part of the log only.
        self.is_cut = False

    def begin(self, records: int) -> None:
        """Go to the last `records` records, in older files too. Raises `OSError` without a log."""
        self._open_all()
        wanted, budget = records, SEARCHED_BYTES
        for file in reversed(self._files):
            at = file.position = file.size
            for offset, line in file.line_starts(budget):
                if not wanted:
                    break
                level = level_of(line)
                if level is not None and level >= self._least:
                    wanted -= 1
                    at = offset
            budget = max(0, budget - file.size)
            self.is_cut = bool(wanted) and not budget
            # If it has too few, what comes before its first record is shown, too.
            file.position = 0 if wanted and not self.is_cut else at
        while len(self._files) > 1 and self._files[0].is_at_end:
            self._files.popleft().close()

    def read(self) -> list[str]:
        """Return some further lines, perhaps none; `is_at_end` then says whether there are more for now."""
        self.is_at_end = False
        if not self._files and not self._open():
            self.is_at_end = True
            return []
        if block := self._files[0].read():
            return self._lines(block)
        if len(self._files) == 1 and not self._has_successor():
            self.is_at_end = True
            return []
        if len(self._files) > 1:
            self._files.popleft().close()
        return self._end_line()

    def finish(self) -> list[str]:
        """Return the last line if it has no end, and close."""
        while self._files:
            self._files.popleft().close()
        return self._end_line()

    def _open_all(self) -> None:
        """Open all files that there are. The current one is missing from a rotation to the next line."""
        missing = None
        try:
            self._files.append(_File(self._path))
        except FileNotFoundError as error:
            missing = error
        for older in _backups(self._path):
            if all(older.identity != file.identity for file in self._files):  # it was just rotated
                self._files.appendleft(older)
        if missing and not self._files:
            raise missing

    def _open(self) -> bool:
        with suppress(FileNotFoundError):
            self._files.append(_File(self._path))
        return bool(self._files)

    def _has_successor(self) -> bool:
        """Whether there is more than what the current file has: it was truncated, or renamed."""
        current = self._files[-1]
        if current.is_truncated():
            current.position = 0
            return True
        try:
            named = _File(self._path)
        except FileNotFoundError:
            return False
        if named.identity == current.identity:
            named.close()
            return False
        if not self._is_renamed:
            # A process that looked at the name just before may still write to the old file.
            self._is_renamed = True
            named.close()
            return False
        self._is_renamed = False
        newer: list[_File] = []
        for older in _backups(self._path):
            if older.identity == current.identity:
                older.close()
                self._files.extend(reversed(newer))
                newer = []
                break
            newer.append(older)
        for file in newer:  # ours is not among them: a program moved it elsewhere
            file.close()
        self._files.append(named)
        return True

    def _lines(self, block: bytes) -> list[str]:
        *whole, rest = (self._rest + block).split(b"\n")
        lines = []
        for line in whole:
            if self._skips:
                self._skips = False  # the end of a line that was cut
            else:
                lines += self._shown(line)
        self._rest = b"" if self._skips else rest
        if len(self._rest) > _LINE_BYTES:
            lines += self._end_line()
            self._skips = True
        return lines

    def _end_line(self) -> list[str]:
        line, self._rest, self._skips = self._rest, b"", False
        return self._shown(line) if line else []

    def _shown(self, line: bytes) -> list[str]:
        level = level_of(line)
        if level is not None:
            self._shows = level >= self._least
        return [_safe(line)] if self._shows else []


class _File:
    """A file of the log, open, and how far it was read. Raises `OSError` if it is no regular file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = files.open_regular_file(path)
        found = os.fstat(self._descriptor)
        self.identity = (found.st_dev, found.st_ino)
        self.size = found.st_size
        self.position = 0

    @property
    def is_at_end(self) -> bool:
        """Whether all was read that it had when it was opened."""
        return self.position >= self.size

    def is_truncated(self) -> bool:
        """Whether it has become shorter than what was read."""
        return os.fstat(self._descriptor).st_size < self.position

    def read(self) -> bytes:
        """Return the next block; empty at the end."""
        block = os.pread(self._descriptor, _BLOCK_BYTES, self.position)
        self.position += len(block)
        return block

    def line_starts(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield offset and beginning of each line, from the last one to the first, of the last `most` bytes."""
        end, after = self.size, b""
        first = max(0, self.size - most)
        while end > first:
            begin = max(first, end - _BLOCK_BYTES)
            block = os.pread(self._descriptor, end - begin, begin)
            if len(block) < end - begin:
                return  # it is being truncated
            both, cut = block + after, len(block)
            while (cut := block.rfind(b"\n", 0, cut)) >= 0:
                if begin + cut + 1 < self.size:
                    yield begin + cut + 1, both[cut + 1 : cut + 1 + _HEAD_BYTES]
            if not begin:
                yield 0, both[:_HEAD_BYTES]
            end, after = begin, both[:_HEAD_BYTES]

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def _backups(path: Path) -> Iterator[_File]:
    """Open the renamed files that there are, the newest first. One that cannot be opened is the last."""
    for number in range(1, _MOST_BACKUPS + 1):
        try:
            yield _File(path.with_name(f"{path.name}.{number}"))
        except OSError:
            return


def _safe(line: bytes) -> str:
    """Return a line as it may be printed; JSON stays JSON."""
    more = len(line) - _LINE_BYTES
    text = line[:_LINE_BYTES].decode("utf-8", "backslashreplace")
    text += "… (cut here)" if more > 0 else ""
    if text.startswith("{") and not text.isprintable():
        return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return printable(text)

"""Prometheus's text format, as pattoo's series and values: pure.

`prometheus_client` reads it. What that passes and the format does not allow, or this agent cannot
send truly, is refused here. See "Exposition formats" in Prometheus's documentation.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar, cast

from pattoo_mp.model import COUNTER64, FLOAT, Pair, Value
from pattoo_mp.wire.safe import normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client import Metric
    from prometheus_client.samples import Sample


#: Before names of others, so that they are no names of ours: neither of figures nor of the host.
KEY: Final = "textfile_metric_"
LABEL: Final = "textfile_label_"
#: The parser takes time with the square of a line's quotes.
_MOST_OF_A_LINE: Final = 16 << 10
_MOST_LABELS: Final = 32
#: The parts of a histogram or a summary that only grow; its quantiles do not.
_GROWING_PARTS: Final = ("_bucket", "_count", "_sum")


class FormatError(ValueError):
    """A text is not what it should be; says in which line, but shows nothing of it."""


class Identity(NamedTuple):
    """What tells a figure from all others. `labels` are in the order of their names."""

    key: str
    data_type: int
    labels: tuple[Pair, ...]


Figure = tuple[Identity, Value]


def parser() -> Callable[[Iterable[str]], Iterable[Metric]]:
    """What reads the format, imported only now. Raises `ImportError`, which says what to install."""
    try:
        from prometheus_client.parser import (  # noqa: PLC0415 - 4 MB, for those alone who use it
            text_fd_to_metric_families,
        )
    except ImportError as error:
        raise ImportError(
            "prometheus_client is not installed; expected the extra `textfile` of pattoo_mp"
        ) from error
    return cast("Callable[[Iterable[str]], Iterable[Metric]]", text_fd_to_metric_families)


def figures(content: bytes) -> tuple[Figure, ...]:
    """The figures of a whole text. Raises `FormatError`, or `ImportError` as `parser` does."""
    read = parser()
    lines = _Lines(_text(content))
    found: list[Figure] = []
    try:
        for family in read(lines):
            found += [_figure(family.type, sample) for sample in family.samples]
    except FormatError:
        raise
    except Exception:  # noqa: BLE001 - whatever the parser raises, its words may hold the text's
        raise FormatError(f"line {lines.number}: is not in Prometheus's text format") from None
    return tuple(found)


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line}: is not UTF-8") from None
    if "\0" in text:
        raise FormatError("holds a NUL; expected text")
    if text and not text.endswith("\n"):
        raise FormatError("the last line does not end; expected a whole file, renamed into place")
    return text


class _Lines:
    """The lines of a text, one after the other; `number` is that of the last that was taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._text.split("\n")[:-1]:
            self.number += 1
            if len(line) > _MOST_OF_A_LINE:
                raise FormatError(f"line {self.number}: has more than {_MOST_OF_A_LINE} characters")
            yield line


def _figure(family_type: str, sample: Sample) -> Figure:
    if sample.timestamp is not None:
        raise FormatError(f"{safe_text(sample.name)} has a time of its own; expected none")
    if len(sample.labels) > _MOST_LABELS:
        raise FormatError(f"{safe_text(sample.name)} has more than {_MOST_LABELS} labels")
    # To Prometheus a label without a value is none.
    labels = normalise((LABEL + name, value) for name, value in sample.labels.items() if value)
    key = f"{KEY}{sample.name.strip().lower()}"
    identity = Identity(key, _data_type(family_type, sample.name), tuple(sorted(labels)))
    return identity, sample.value if sendable(sample.value) else None


def _data_type(family_type: str, name: str) -> int:
    """The type of a series, which must not change with its value: it names the series, too."""
    if family_type == "counter":
        return COUNTER64
    if family_type in {"histogram", "summary"} and name.endswith(_GROWING_PARTS):
        return COUNTER64
    return FLOAT


# A directory of text files, each read again only when it has changed.
#
# Nothing but a regular file is opened: to open a device may do something, and a FIFO has a writer to
# wait for. Links are followed.

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

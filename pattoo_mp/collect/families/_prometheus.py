"""Files in Prometheus's text format: a directory of them, and their figures as pattoo's series.

`prometheus_client` parses the format. This module also refuses what that parser accepts but the format
does not allow, and what this agent could not send unchanged. See "Exposition formats" in Prometheus's
documentation.
"""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar, cast

from pattoo_mp.model import COUNTER64, FLOAT, Pair, Value
from pattoo_mp.wire.safe import safe_text, sendable, stripped

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client import Metric
    from prometheus_client.samples import Sample


#: Prefixes for the operator's names, so that they never clash with this agent's keys and labels.
KEY: Final = "textfile_metric_"
LABEL: Final = "textfile_label_"
#: The parser's time grows with the square of the number of quotes in a line.
_MAX_LINE_LENGTH: Final = 16 << 10
_MAX_LABELS: Final = 32
#: The parts of a histogram or a summary that are counters; quantiles are not.
_COUNTER_SUFFIXES: Final = ("_bucket", "_count", "_sum")
#: A `TYPE` line, whose type may be missing, and the name of a figure at the start of its line. A line
#: may end with a carriage return.
_TYPE: Final = re.compile(r"[ \t]*#[ \t]+TYPE[ \t]+(\S+)(?:[ \t]+(\S+))?[ \t]*\r?")
_NAME: Final = re.compile(r"[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)")
#: Its parts may fall, unlike those of a histogram: they are floats, as figures without a type.
_GAUGE_HISTOGRAM: Final = "gauge_histogram"
_COMMENT: Final = "#"


class FormatError(ValueError):
    """A file is not in the expected format. The message names the line but never quotes its text."""


class Identity(NamedTuple):
    """The unique identity of a figure. `labels` are sorted by name."""

    key: str
    data_type: int
    labels: tuple[Pair, ...]


Figure = tuple[Identity, Value]


def parser() -> Callable[[Iterable[str]], Iterable[Metric]]:
    """Import and return the parser. Raises `ImportError`, which says what to install."""
    try:
        from prometheus_client.parser import (  # noqa: PLC0415 - 4 MB, only where it is used
            text_fd_to_metric_families,
        )
    except ImportError as error:
        raise ImportError(
            "prometheus_client is not installed; expected the extra `textfile` of pattoo_mp, "
            "or Debian's python3-prometheus-client"
        ) from error
    return cast("Callable[[Iterable[str]], Iterable[Metric]]", text_fd_to_metric_families)


def figures(content: bytes, key: str = KEY, label: str = LABEL) -> tuple[Figure, ...]:
    """Return the figures in a file's content. Raises `FormatError`, or `ImportError` as `parser`.

    `key` and `label` are before the names of metrics and labels.
    """
    read = parser()
    lines = _Lines(_text(content))
    found: list[Figure] = []
    try:
        for family in read(lines):
            found += [_figure(family.type, sample, key, label) for sample in family.samples]
    except FormatError:
        raise
    except Exception:  # noqa: BLE001 - any error of the parser; its message may quote the text
        raise FormatError(f"line {lines.number}: not in Prometheus's text format") from None
    return tuple(found)


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line}: not UTF-8") from None
    if "\0" in text:
        raise FormatError("contains a NUL; expected text")
    if text and not text.endswith("\n"):
        raise FormatError(
            "the last line has no newline; expected a complete file, renamed into place"
        )
    return text


class _Lines:
    """Iterates over the lines of a text; `number` is that of the last line returned.

    `TYPE` lines are returned as the parser knows them: node_exporter takes more forms than the parser.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._typed: set[str] = set()
        self._with_figures: set[str] = set()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._text.split("\n")[:-1]:
            self.number += 1
            if len(line) > _MAX_LINE_LENGTH:
                raise FormatError(f"line {self.number}: more than {_MAX_LINE_LENGTH} characters")
            if declared := _TYPE.fullmatch(line):
                yield self._declaration(*declared.groups())
            else:
                if name := _NAME.match(line):
                    self._with_figures.add(name[1])
                yield line

    def _declaration(self, name: str, data_type: str | None) -> str:
        """Return a `TYPE` line, or a comment in its place if the figures are to have no type."""
        if data_type is None:
            return _COMMENT
        # The type identifies the series, so there may be only one.
        if name in self._typed:
            raise FormatError(f"line {self.number}: a second TYPE of the same name")
        if name in self._with_figures:
            raise FormatError(f"line {self.number}: a TYPE after the first figure of its name")
        self._typed.add(name)
        data_type = data_type.lower()
        return _COMMENT if data_type == _GAUGE_HISTOGRAM else f"# TYPE {name} {data_type}"


def _figure(family_type: str, sample: Sample, key: str, label: str) -> Figure:
    if sample.timestamp is not None:
        raise FormatError(f"{safe_text(sample.name)} has a timestamp; expected none")
    if len(sample.labels) > _MAX_LABELS:
        raise FormatError(f"{safe_text(sample.name)} has more than {_MAX_LABELS} labels")
    # Prometheus treats a label with an empty value as absent.
    labels = stripped((label + name, value) for name, value in sample.labels.items() if value)
    name = f"{key}{sample.name.strip().lower()}"
    identity = Identity(name, _data_type(family_type, sample.name), tuple(sorted(labels)))
    return identity, sample.value if sendable(sample.value) else None


def _data_type(family_type: str, name: str) -> int:
    """Return the type of a series. It identifies the series too, so it must not depend on a value."""
    if family_type == "counter":
        return COUNTER64
    if family_type in {"histogram", "summary"} and name.endswith(_COUNTER_SUFFIXES):
        return COUNTER64
    return FLOAT


# How many series there may be.

S = TypeVar("S", bound="Hashable")

_DAY_S: Final = 86_400.0


def sort_key(identity: Identity) -> tuple[object, ...]:
    """Sort by labels first, so that figures with the same labels are adjacent."""
    return identity.labels, identity.key


class CardinalityLimit(Generic[S]):
    """Admits at most `limit` different items. An item that is gone for a day makes room for another.

    An item that was admitted is admitted again, unless it has been gone for that long.
    """

    def __init__(self, limit: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._present: set[S] = set()
        self._gone_at: dict[S, float] = {}

    def admit(self, items: Iterable[S]) -> set[S]:
        """Return those of `items` that are admitted. New ones are admitted in their order."""
        now = self._monotonic()
        known = {item: at for item, at in self._gone_at.items() if now - at < _DAY_S}
        known |= dict.fromkeys(self._present, now)
        self._present = set()
        for item in items:
            if known.pop(item, None) is not None or len(known) + len(self._present) < self._limit:
                self._present.add(item)
        self._gone_at = known
        return self._present


# A directory of text files.

C = TypeVar("C")

SUFFIX: Final = ".prom"
MAX_FILES: Final = 100
#: Limit for all files together.
MAX_BYTES: Final = 1 << 20
_NOT_REGULAR: Final = "not a regular file"
_TOO_LARGE: Final = f"too large: all files together may have {MAX_BYTES} bytes"
_TOO_MANY: Final = f"too many files: this one and those after it exceed the limit of {MAX_FILES}"


@dataclass(frozen=True, slots=True)
class TextFile(Generic[C]):
    """A file as of the last read.

    `written_s` is its modification time (Unix time), None if unknown. `content` is the parsed content;
    if it is None, `note` says why the file is left out.
    """

    written_s: float | None
    content: C | None
    note: str = ""
    size: int = 0
    version: tuple[int, ...] = ()


class Directory(Generic[C]):
    """The files of a directory whose names end in `SUFFIX`, each parsed again only when it changes.

    `parse` raises `ValueError` for an unusable file; the error's message becomes the file's note.
    Only regular files are opened: opening a device may have effects, and opening a FIFO would wait
    for a writer. Links are followed.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], C]) -> None:
        self._path = path
        self._parse = parse
        self._known: dict[str, TextFile[C]] = {}

    def files(self) -> dict[str, TextFile[C]]:
        """Return the files by name, in the order of their names.

        An unchanged file is the same object as in the last call. Raises `OSError` if the directory
        does not exist or cannot be read.
        """
        names = sorted(name for name in os.listdir(self._path) if name.endswith(SUFFIX))  # noqa: PTH208 - only names are needed
        room = MAX_BYTES
        found: dict[str, TextFile[C]] = {}
        for name in names[:MAX_FILES]:
            file = self._file(name, room)
            if file is not None:
                found[name] = file
                room -= file.size
        self._known = dict(found)
        found |= {name: TextFile(None, None, _TOO_MANY) for name in names[MAX_FILES:][:1]}
        return found

    def _file(self, name: str, room: int) -> TextFile[C] | None:
        """Return the file, with a note if it is left out; None if it no longer exists.

        `room` is the number of bytes that it may have.
        """
        path = self._path / name
        try:
            status = path.stat()
            known = self._known.get(name)
            if known is not None and known.version == _version(status) and known.size <= room:
                return known
            return self._rejected(status, room) or self._read(path, room)
        except FileNotFoundError:
            return TextFile(None, None, "a broken link") if path.is_symlink() else None
        except OSError as error:
            return TextFile(None, None, error.strerror or str(error))

    def _rejected(self, status: os.stat_result, room: int) -> TextFile[C] | None:
        if not stat.S_ISREG(status.st_mode):
            return TextFile(None, None, _NOT_REGULAR)
        return TextFile(status.st_mtime, None, _TOO_LARGE) if status.st_size > room else None

    def _read(self, path: Path, room: int) -> TextFile[C]:
        # The file may have been replaced since the check: do not block, and check again.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            rejected = self._rejected(status, room)
            content = b"" if rejected else file.read(room + 1)
        if rejected:
            return rejected
        if len(content) > room:  # the file grew after the check
            return TextFile(status.st_mtime, None, _TOO_LARGE)
        size_and_version = (len(content), _version(status))
        try:
            return TextFile(status.st_mtime, self._parse(content), "", *size_and_version)
        except ValueError as error:
            return TextFile(status.st_mtime, None, str(error), *size_and_version)


def _version(status: os.stat_result) -> tuple[int, ...]:
    """Return a tuple that changes when the file is written to, or replaced by a rename."""
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip

"""Prometheus's text format, as pattoo's series and values: pure.

`prometheus_client` reads it. What that passes and the format does not allow, or this agent cannot
send truly, is refused here. See "Exposition formats" in Prometheus's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pattoo_mp.model import COUNTER64, FLOAT, Pair, Value
from pattoo_mp.wire.safe import normalise, safe_text, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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

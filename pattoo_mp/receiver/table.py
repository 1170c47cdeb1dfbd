"""The newest values as a plain-text table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pattoo_mp.receiver.database import label
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.receiver.reading import StoredPoint

_GAP: Final = "  "
#: No column becomes narrower than this, whatever the terminal.
_LEAST_WIDTH: Final = 8
HEADINGS: Final = ("TIME (UTC)", "TARGET", "KEY", "OF", "VALUE")


def table(points: Iterable[StoredPoint], width: int | None = None) -> str:
    """`points` as text in aligned columns below headings, a line each of at most `width` characters.

    What does not fit is cut from the longest columns first, and its end marked.
    """
    rows = [HEADINGS, *(_cells(point) for point in points)]
    *widths, value_width = (max(map(len, column)) for column in zip(*rows, strict=True))
    if width is not None:
        _narrow(widths, width - value_width - len(_GAP) * len(widths))
    lines = []
    for *cells, value in rows:
        texts = [_cut(cell, size).ljust(size) for cell, size in zip(cells, widths, strict=True)]
        lines.append(_GAP.join([*texts, value.rjust(value_width)]))
    return "\n".join(lines)


def _narrow(widths: list[int], room: int) -> None:
    """Make the widest columns but the first, the time, narrower until all fit into `room`."""
    texts = range(1, len(widths))
    while sum(widths) > room and max(widths[1:]) > _LEAST_WIDTH:
        widths[max(texts, key=widths.__getitem__)] -= 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _cells(point: StoredPoint) -> tuple[str, ...]:
    texts = (point.target, point.key, label(point.metadata))
    return (_time(point.timestamp_ms), *map(printable, texts), f"{point.value:.15g}")


def _time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"  # the calendar ends in the year 9999
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")

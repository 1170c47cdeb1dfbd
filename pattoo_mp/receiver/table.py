"""Datapoints as a plain-text table: pure, no I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pattoo_mp.receiver.records import StoredPoint

HEADINGS: Final = ("TIME (UTC)", "TARGET", "KEY", "OF", "VALUE")

#: Metadata that says of which host a datapoint is; the target column says that already.
_OF_THE_HOST: Final = frozenset({"release", "version", "processor", "type", "cpus", "hostname"})


def table(points: Iterable[StoredPoint]) -> str:
    """Lay `points` out in aligned columns below headings, a line each."""
    rows = [HEADINGS, *(_cells(point) for point in points)]
    *widths, value_width = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for *cells, value in rows:
        texts = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*texts, value.rjust(value_width)]))
    return "\n".join(lines)


def label(point: StoredPoint) -> str:
    """What a datapoint is of, within its host: `disk_partition=sda`, or nothing."""
    own = [f"{key}={value}" for key, value in point.metadata if key not in _OF_THE_HOST]
    return " ".join(own)


def _cells(point: StoredPoint) -> tuple[str, ...]:
    texts = (point.target, point.key, label(point))
    return (_time(point.timestamp_ms), *map(printable, texts), f"{point.value:.15g}")


def _time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"  # the calendar ends in the year 9999
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")

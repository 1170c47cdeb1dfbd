"""A look at the host as lines for a person: rounded figures, on 80 columns."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.doctor.polls import Answer, Figure, Look
    from pattoo_mp.model import Pair, Value

_WIDTH: Final = 80
_NAME_WIDTH: Final = 12
_KEY_WIDTH: Final = 36
_VALUE_WIDTH: Final = 16
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def lines(look: Look) -> list[str]:
    """A heading for each family, and below it a line for each figure and for each thing left out."""
    points = counted(sum(len(answer.figures) for answer in look.answers), "datapoint")
    told = [f"A poll of this host holds {points}. This one is not sent.", "", "Host"]
    told += [f"    {name:<{_NAME_WIDTH}}{printable(value)}".rstrip() for name, value in look.host]
    for answer in look.answers:
        told += ["", answer.table.title, *_answer(answer)]
    return told


def _answer(answer: Answer) -> Iterator[str]:
    for labels, figures in groupby(answer.figures, lambda figure: figure.labels):
        if labels:
            yield _device(labels)
        yield from map(_figure, figures)
    for what, why in answer.left_out.items():
        part = what.removeprefix(answer.table.name).removeprefix(" ")
        yield f"  {printable(part or 'All')} left out: {printable(why)}"
    if not answer.figures and not answer.left_out:
        yield "  The host has none."


def _device(labels: tuple[Pair, ...]) -> str:
    line = f"  {', '.join(printable(value) for _, value in labels)}"
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _figure(figure: Figure) -> str:
    value, unit = _readable(figure.value, figure.unit)
    return f"    {printable(figure.key):<{_KEY_WIDTH}}{value:>{_VALUE_WIDTH}}  {unit}".rstrip()


def _readable(value: Value, unit: str) -> tuple[str, str]:
    if value is None:
        return "not sent", ""
    if unit == "bytes":
        return _scaled(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return text, "%" if unit == "percent" else unit


def _scaled(size: float) -> tuple[str, str]:
    power = 0
    while abs(size) >= 1000 and power < len(_SIZES) - 1:
        size /= 1000
        power += 1
    return (f"{size:,.1f}" if power else f"{size:,}"), _SIZES[power]

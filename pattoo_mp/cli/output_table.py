"""The table of outputs in `--status`: what became of the polls of each, at most 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.words import age
from pattoo_mp.model import AHEAD_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.control.troubles import Status

_HEADINGS: Final = (
    "Output", "Delivered", "Waiting", "Oldest", "Dropped", "Quarantine", "Lag", "Last post",
)  # fmt: skip
_GAP: Final = "  "
#: The lines are indented by two columns.
_MOST_COLUMNS: Final = 78


def lines(outputs: Mapping[str, Status]) -> list[str]:
    """The lines of the table. `outputs` holds the status of each output by name (`of_output`).

    If the names leave no room for the figures, each name has a line of its own.
    """
    found = [_HEADINGS, *((name, *_figures(status)) for name, status in outputs.items())]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    if sum(widths) + len(_GAP) * (len(widths) - 1) <= _MOST_COLUMNS:
        return [_line(cells, widths) for cells in found]
    widths[0] = len(_HEADINGS[0])
    shown = [_line(_HEADINGS, widths)]
    for name, *figures in found[1:]:
        shown += [name, _line(("", *figures), widths)]
    return shown


def lag(status: Status) -> str:
    """How old the newest delivered poll is: none if its time is ahead of the clock."""
    now_ms, delivered_ms = status["now_ms"], status["polls"]["last_delivered_ms"]
    return "none" if delivered_ms > now_ms + AHEAD_MS else age(now_ms, delivered_ms)


def _figures(status: Status) -> tuple[str, ...]:
    polls, now_ms = status["polls"], status["now_ms"]

    def since(moment_ms: int, otherwise: str) -> str:
        return age(now_ms, moment_ms) if moment_ms else otherwise

    last_post = since(status["posts"]["last_ms"], "")
    return (
        str(polls["delivered"]),
        str(polls["in_channel"] + polls["in_spool"]),
        since(polls["oldest_waiting_ms"], "-"),
        str(sum(polls["dropped"].values())),
        str(polls["quarantined"]),
        lag(status) if polls["last_delivered_ms"] else "-",
        f"{last_post} ago" if last_post else "none",
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *figures = cells
    columns = [f"{name:<{widths[0]}}"]
    columns += [f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True)]
    return _GAP.join(columns)

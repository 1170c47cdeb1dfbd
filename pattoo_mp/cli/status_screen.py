"""The status on a terminal: a table in colour, with a progress bar while a backlog drains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pattoo_mp.cli.status_rows import heading, rows
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pattoo_mp.cli.status_rows import Row, Status

_BAR_WIDTH: Final = 40
_LABEL_WIDTH: Final = 12
_NO_BACKLOG: Final = {"polls": 0, "taken_per_s": None}


def print_report(status: Status) -> None:
    """Print `status`."""
    Console(highlight=False).print(_layout(status))


class Screen:
    """Shows each status in place of the previous one."""

    def __init__(self) -> None:
        self._live = Live(console=Console(highlight=False), auto_refresh=False)
        self._before: Status | None = None
        self._peak = 0

    def show(self, status: Status) -> None:
        """Show `status`, the newest answer."""
        backlog = status["backlog"] if status["state"] == "running" else _NO_BACKLOG
        self._peak = max(self._peak, backlog["polls"]) if backlog["polls"] else 0
        peak = 0 if backlog["taken_per_s"] is None else self._peak
        self._live.update(_layout(status, self._before, peak), refresh=True)
        self._before = status

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _layout(status: Status, before: Status | None = None, peak: int = 0) -> Group:
    """What to print. `peak` is the largest size of this backlog if it is draining, else 0."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True, min_width=_LABEL_WIDTH)
    table.add_column(overflow="fold")
    for row in rows(status, before):
        table.add_row(row.label, _text(row))
        if row.label == "Waiting" and peak:
            table.add_row("Progress", _bar(peak - status["backlog"]["polls"], peak))
    return Group(Text(heading(status), style=_style(status)), table)


def _text(row: Row) -> Text:
    style = "bold red" if row.label == "Trouble" else "yellow" if row.bad else ""
    return Text(row.text, style=style)


def _bar(sent: int, peak: int) -> RenderableType:
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(
        ProgressBar(peak, sent, width=_BAR_WIDTH), f"{sent / peak:.0%} of {counted(peak, 'poll')}"
    )
    return line


def _style(status: Status) -> str:
    return "bold red" if status["state"] != "running" or status["troubles"] else "bold green"

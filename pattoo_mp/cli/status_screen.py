"""The status on a terminal: a table in colour, with a progress bar while a backlog drains."""

from __future__ import annotations

from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pattoo_mp.cli.status_rows import heading, output_names, rows
from pattoo_mp.control.outputs import of_output
from pattoo_mp.util.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import RenderableType

    from pattoo_mp.cli.status_rows import Row, Status

_BAR_WIDTH: Final = 40
_LABEL_WIDTH: Final = 12


def print_report(status: Status) -> None:
    """Print `status`."""
    Console(highlight=False).print(_layout(status))


class Screen:
    """Shows each status in place of the previous one."""

    def __init__(self) -> None:
        self._live = Live(console=Console(highlight=False), auto_refresh=False)
        self._before: Status | None = None
        #: The largest size of the backlog of each output; "" is the only one.
        self._peaks: dict[str, int] = {}

    def show(self, status: Status) -> None:
        """Show `status`, the newest answer."""
        each = _of_outputs(status) if status["state"] == "running" else {}
        sizes = {name: own["backlog"]["polls"] for name, own in each.items()}
        self._peaks = {n: max(self._peaks.get(n, 0), polls) for n, polls in sizes.items() if polls}
        draining = {
            name: (each[name]["backlog"]["polls"], peak)
            for name, peak in self._peaks.items()
            if each[name]["backlog"]["taken_per_s"] is not None
        }
        self._live.update(_layout(status, self._before, draining), refresh=True)
        self._before = status

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _of_outputs(status: Status) -> dict[str, Status]:
    """The status of each output by name; of an agent with one output by an empty name."""
    names = output_names(status)
    return {name: of_output(status, name) for name in names} if names else {"": status}


def _layout(
    status: Status,
    before: Status | None = None,
    draining: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> Group:
    """What to print. `draining` has the size and the largest size of each backlog that shrinks."""
    shown: list[RenderableType] = [Text(heading(status), style=_style(status))]
    found = rows(status, before)
    for has_label, group in groupby(found, lambda row: bool(row.label)):
        part = list(group)
        shown.append(_grid(part, draining) if has_label else _lines(part))
    return Group(*shown)


def _grid(found: Iterable[Row], draining: Mapping[str, tuple[int, int]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True, min_width=_LABEL_WIDTH)
    table.add_column(overflow="fold")
    for row in found:
        table.add_row(row.label, _text(row))
        if row.label == "Waiting" and row.output in draining:
            left, peak = draining[row.output]
            table.add_row("Progress", _bar(peak - left, peak))
    return table


def _lines(found: Iterable[Row]) -> Text:
    """The lines of a table that is laid out already."""
    return Text("\n".join(row.text for row in found))


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

"""`--once --watch` on a terminal: the host's figures in place, each with its last minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pattoo_mp.cli.once_rows import KEPT, History, details, host_line, overview
from pattoo_mp.cli.words import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import OverflowMethod

    from pattoo_mp.cli.once_rows import Row
    from pattoo_mp.doctor.polls import Snapshot

_BARS: Final = "▁▂▃▄▅▆▇█"
#: For a terminal that has no others.
_ASCII_BARS: Final = "_.-=+*#@"
_NO_POINT: Final = " "
#: From so many percent on a figure is marked.
_HIGH, _FULL = 80.0, 95.0
_LABEL_WIDTH: Final = 28
_FIGURE_WIDTH: Final = 14
#: A narrower terminal shows a shorter past, and then shorter notes.
_NOTE_WIDTH: Final = 24
_LEAST_PAST: Final = 20
#: The host, an empty line, and the line of keys.
_AROUND: Final = 4
_KEYS: Final = {b"\x1b[A": -1, b"\x1b[B": 1, b"k": -1, b"j": 1}
_PAGES: Final = {b"\x1b[5~": -1, b"\x1b[6~": 1, b" ": 1, b"b": -1}


class Screen:
    """Shows each snapshot in place of the previous one. The arrow keys move through the details."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._history = History()
        self._top = 0
        self._page = 1

    def show(self, taken: Snapshot) -> None:
        """Show `taken`, the newest snapshot, or the same once more."""
        if taken is not self._history.newest:
            self._history.add(taken)
        self._live.update(self._layout(taken), refresh=True)

    def move(self, keys: bytes) -> None:
        """Move through the details by an arrow key or a page."""
        self._top += _KEYS.get(keys, 0) + _PAGES.get(keys, 0) * self._page

    def _layout(self, taken: Snapshot) -> Group:
        first, rest = overview(self._history), details(self._history)
        room = self._console.height - _AROUND - len(first)
        self._page = max(1, room)
        self._top = max(0, min(self._top, len(rest) - self._page))
        shown = rest[self._top : self._top + self._page] if room > 0 else []
        below = len(rest) - self._top - len(shown)
        return Group(
            Text(f"{host_line(taken)}  {moment(taken.timestamp_ms)}", "bold", no_wrap=True),
            self._grid(first),
            Text(),
            self._grid(shown),
            Text(_footer(self._top, below), "dim", no_wrap=True),
        )

    def _grid(self, rows: Sequence[Row]) -> Table:
        # Each column but the past and the notes has its width, so that nothing jumps.
        wide = self._console.width - _LABEL_WIDTH - _FIGURE_WIDTH - 3 * 2
        past = max(min(_LEAST_PAST, wide), min(KEPT, wide - _NOTE_WIDTH))
        has_bars = self._console.encoding.startswith("utf")
        bars = _BARS if has_bars else _ASCII_BARS
        cut: OverflowMethod = "ellipsis" if has_bars else "crop"
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=_LABEL_WIDTH, no_wrap=True, overflow=cut)
        grid.add_column(width=_FIGURE_WIDTH, no_wrap=True, justify="right")
        grid.add_column(width=past, no_wrap=True, overflow="crop", style="cyan")
        grid.add_column(width=max(0, wide - past), no_wrap=True, overflow=cut, style="dim")
        for row in rows:
            label = Text(row.label, "bold" if row.is_heading else "")
            figure = Text(row.figure, _style(row))
            line = sparkline(row.points[-past:], row.top, bars)
            grid.add_row(label, figure, Text(line.rjust(past)), Text(row.note))
        return grid

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def sparkline(points: Sequence[float | None], top: float | None, bars: str = _BARS) -> str:
    """The points as bars from 0 to `top`, or to the greatest of them; a gap stays empty."""
    known = [point for point in points if point is not None]
    greatest = top or max(known, default=0.0)
    return "".join(
        _NO_POINT if point is None else _bar(point / greatest if greatest > 0 else 0.0, bars)
        for point in points
    )


def _bar(share: float, bars: str) -> str:
    return bars[max(0, min(len(bars) - 1, int(share * len(bars))))]


def _style(row: Row) -> str:
    newest = row.points[-1] if row.points else None
    if row.top is None or newest is None or newest < _HIGH:
        return ""
    return "bold red" if newest >= _FULL else "yellow"


def _footer(above: int, below: int) -> str:
    if not above and not below:
        return "q ends it"
    return f"q ends it; arrow keys and space move: {above} more lines above, {below} below"

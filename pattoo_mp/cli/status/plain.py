"""The status as plain text: for a pipe, a file, or a terminal that can do no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.status.rows import heading, rows, waiting
from pattoo_mp.cli.status.words import time

if TYPE_CHECKING:
    from pattoo_mp.cli.status.rows import Status

_LABEL_WIDTH: Final = 15


def report(status: Status) -> str:
    """All of it, in lines."""
    lines = [f"  {row.label:<{_LABEL_WIDTH}}{row.text}" for row in rows(status)]
    return "\n".join([heading(status), *lines])


def line(status: Status) -> str:
    """The most important of it, in one line."""
    if status["state"] == "stopped":
        return f"{heading(status)}, cut short" if status["cut_short_pid"] else heading(status)
    if status["state"] == "silent":
        return f"{heading(status)}, silent"
    polls = status["polls"]
    codes = ", ".join(
        " ".join(filter(None, (str(trouble["code"]), str(trouble["subject"]))))
        for trouble in status["troubles"]
    )
    return (
        f"{time(status['now_ms'])}  {codes or 'well'}; {polls['polled']} polled, "
        f"{polls['delivered']} delivered, waiting: {waiting(status)}"
    )

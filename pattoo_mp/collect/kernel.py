"""Reads what the kernel tells in `/proc` and `/sys`, where psutil does not ask for it.

Reading stands apart from parsing: what is here does the former, each family the latter.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.collect.table import Table
    from pattoo_mp.model import Value

#: Where `/sys` is, and the files of the network below `/proc`. Like psutil's `PROCFS_PATH` they may
#: be led elsewhere, before the first poll.
SYS = Path("/sys")
NET = "net"


def proc(name: str) -> str:
    """A file of `/proc`, by its name below that; where psutil looks is where it is looked for."""
    return text(f"{psutil.PROCFS_PATH}/{name}")


def net(name: str) -> str:
    """A file of `/proc/net`, of the host's network."""
    return proc(f"{NET}/{name}")


def text(path: Path | str) -> str:
    """The file. Raises `OSError`: `FileNotFoundError` where this kernel has none."""
    # Unbuffered, as bytes: half the time of `Path.read_text`, which counts with all processes.
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the same, for a Path takes longer
        return file.readall().decode("utf-8", "surrogateescape")


def numbers(lines: str) -> dict[str, int]:
    r"""The whole numbers of lines of a name and a number; other lines are none of ours.

    >>> numbers("pgfault 12\noom_kill 0\nrev a b c\n")
    {'pgfault': 12, 'oom_kill': 0}
    """
    pairs = (line.split() for line in lines.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def described(table: Table, found: Mapping[str, Value]) -> dict[str, Value]:
    """Of what was found, what the table has a line for, in the table's order.

    A kernel tells far more than anybody asks for, and an old one not all of that.
    """
    return {metric.name: found[metric.name] for metric in table.metrics if metric.name in found}

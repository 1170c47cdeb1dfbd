"""All processes in one look: psutil would open several files for each, this opens one.

From `/proc/<pid>/stat`, see proc(5). Where `/proc` is mounted with `hidepid`, these are only the
processes of the agent's own user.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: The kernel's own threads are children of this process, and are named for what they do at the
#: moment: `kworker/0:1-events`.
_KTHREADD: Final = 2


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started` and `busy` are in clock ticks, `resident` in pages."""

    pid: int
    started: int
    name: str
    state: str
    threads: int
    busy: int
    resident: int


def parse(line: str) -> Process:
    """A `stat` line. Raises `ValueError`.

    >>> parse("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 3 4 0 0 20 0 2 0 99 1000 55")
    Process(pid=7, started=99, name='a) b', state='S', threads=2, busy=7, resident=55)
    """
    before, _, after = line.rpartition(")")
    pid, _, name = before.partition(" (")
    state, parent, *rest = after.split()
    figures = [int(text) for text in rest[:20]]
    if len(figures) < 20:
        raise ValueError(f"a process of {len(figures)} figures")
    if int(parent) == _KTHREADD:
        name = name.partition("/")[0]
    return Process(
        int(pid), figures[17], name, state, figures[15], figures[9] + figures[10], figures[19]
    )


def running() -> Iterator[Process]:
    """Every process that can be seen. One that ends meanwhile is none any more."""
    for entry in os.listdir(psutil.PROCFS_PATH):  # noqa: PTH208 - names alone, of thousands
        if entry.isdecimal():
            try:
                line = host.proc(f"{entry}/stat")
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield parse(line)


class OneLook:
    """One look at all processes for two sources that are read one after the other in each poll.

    It reads a file for each process, so a second look would cost as much once more. What the first
    has seen is kept for the second alone; where the first has failed, the second looks for itself.
    """

    def __init__(self, look: Callable[[], Iterable[Process]] = running) -> None:
        self._look = look
        self._seen: Sequence[Process] | None = None

    def first(self) -> Sequence[Process]:
        """Look."""
        self._seen = None
        self._seen = tuple(self._look())
        return self._seen

    def second(self) -> Iterable[Process]:
        """What the first has seen in this poll."""
        seen, self._seen = self._seen, None
        return self._look() if seen is None else seen

"""A scan of all processes that opens one file for each, where psutil would open several.

Reads `/proc/<pid>/stat`, see proc(5). Where `/proc` hides some processes (`_hidepid.py`), there is no
scan at all: figures of a part would look like those of the whole host.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from pattoo_mp.collect import host
from pattoo_mp.collect.families import _hidepid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: The parent of all kernel threads. Their names change with their current work:
#: `kworker/0:1-events`.
_KTHREADD: Final = 2
#: Fields that are needed, counted from the one after the parent's PID.
_FIELDS: Final = 20
#: Those of them that are kept: user and system time, threads, start, resident pages.
_NEEDED: Final = (9, 10, 15, 17, 19)
#: The kernel counts to this, and gives no more PIDs than that (PID_MAX_LIMIT), one for each thread.
_LARGEST: Final = (1 << 64) - 1
_MOST_THREADS: Final = 1 << 22
#: The state of a process whose file cannot be read or is damaged.
UNREADABLE: Final = ""
#: What is left out because of such processes, and why.
UNREADABLE_ONES: Final = "unreadable processes"
WHY_UNREADABLE: Final = "the kernel refuses their files, or the files are damaged"


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started` and `busy` are in clock ticks, `resident` is in pages.

    `busy` is user and system time. If the `state` is `UNREADABLE`, nothing but the PID is known.
    """

    pid: int
    started: int
    name: str
    state: str
    threads: int
    busy: int
    resident: int


def parse(line: str) -> Process:
    """Return the process that a `stat` line describes. Raises `ValueError`.

    A kernel thread is named by the part of its name before the `/`.

    >>> parse("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 3 4 0 0 20 0 2 0 99 1000 55")
    Process(pid=7, started=99, name='a) b', state='S', threads=2, busy=7, resident=55)
    """
    before, _, after = line.rpartition(")")
    pid, _, name = before.partition(" (")
    state, parent, *rest = after.split()
    fields = [int(text) for text in rest[:_FIELDS]]
    if len(fields) < _FIELDS:
        raise ValueError(
            f"a stat line with {len(fields)} fields after the parent PID; expected {_FIELDS}"
        )
    user, system, threads, started, resident = (fields[at] for at in _NEEDED)
    numbers = user, system, started, resident
    if min(threads, *numbers) < 0 or threads > _MOST_THREADS or max(numbers) > _LARGEST:
        raise ValueError("a stat line with a number that no process can have")
    if int(parent) == _KTHREADD:
        name = name.partition("/")[0]
    return Process(int(pid), started, name, state, threads, user + system, resident)


def running() -> Iterator[Process]:
    """Yield every process. Processes that exit during the scan are skipped.

    Raises `PermissionError` if the kernel hides some.
    """
    _hidepid.check_readable()
    for entry in os.listdir(psutil.PROCFS_PATH):  # noqa: PTH208 - names alone, of thousands
        if entry.isdecimal():
            try:
                yield parse(host.proc(f"{entry}/stat"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            except (OSError, ValueError) as error:
                if entry == host.FIRST_PROCESS and isinstance(error, PermissionError):
                    why = _hidepid.refusal("does not let the agent read about process 1")
                    raise PermissionError(why) from None
                yield Process(int(entry), 0, "", UNREADABLE, 0, 0, 0)


class OneLook:
    """One scan of all processes in each poll, shared by two sources that are read in turn.

    A scan reads a file for each process, so a second one would double the cost. The result of the
    first source's scan is kept for the second source alone. If the first scan failed, the second
    source does its own. So it does if another thread makes the first scan: that one hung, and its
    result may come in a later poll.
    """

    def __init__(self, look: Callable[[], Iterable[Process]] = running) -> None:
        self._scan = look
        self._of_thread = threading.local()

    def first(self) -> Sequence[Process]:
        """Scan all processes."""
        self._of_thread.found = None
        self._of_thread.found = found = tuple(self._scan())
        return found

    def second(self) -> Iterable[Process]:
        """Return what the first source found in this poll."""
        found: Sequence[Process] | None = getattr(self._of_thread, "found", None)
        self._of_thread.found = None
        return self._scan() if found is None else found

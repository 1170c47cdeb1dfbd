"""A process that is not our child, held so that a signal reaches it and no other process.

A process number is only a number: the process may end, and another one may get it. A pidfd
(pidfd_open(2)) stays with its process. So hold the process first, then check what it is, then
signal it. On hosts without pidfd the start time of the process is compared before each signal.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from pattoo_mp.util.process import stat_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

#: No pidfd: a kernel before 5.3, or a container that forbids it.
_NO_PIDFD: Final = frozenset({errno.ENOSYS, errno.EPERM})
_ENDED: Final = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says (proc(5)). `started` is in clock ticks since the boot."""

    state: str
    parent: int
    group: int
    threads: int
    started: int

    @property
    def runs(self) -> bool:
        """Whether the process is no zombie. The state is that of its first thread; another may hang."""
        return self.state not in _ENDED or self.threads > 1


def stat_of(pid: int) -> Stat | None:
    """Return the state of a process; None if there is none, or if we may not look at it."""
    try:
        fields = stat_fields(pid)
        return Stat(fields[0], *(int(fields[n]) for n in (1, 2, 17, 19)))
    except (OSError, ValueError, IndexError):
        return None


def all_processes() -> Iterator[tuple[int, Stat]]:
    """Yield the number and the state of each process that we can see."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each process takes longer
        if name.isdecimal() and (found := stat_of(int(name))) is not None:
            yield int(name), found


class HeldProcess:
    """One process. Close it, or use it in a `with` block."""

    def __init__(self, pid: int) -> None:
        """Hold the process `pid`. Raises `OSError`: `ProcessLookupError` if it is no process."""
        if pid <= 0:  # for kill(2) it would be a group, or all processes
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        self.pid = pid
        self._descriptor = _pidfd(pid)
        found = stat_of(pid)
        self._started = None if found is None else found.started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._started = None

    @property
    def has_ended(self) -> bool:
        """Whether it has ended. If not, its number has been its own since it was held."""
        if self._descriptor is not None:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            return bool(waiting.poll(0))
        found = stat_of(self.pid)
        return found is None or not found.runs or found.started != self._started

    def signal(self, number: signal.Signals) -> None:
        """Send `number`; nothing if it has ended. Raises `PermissionError`."""
        with suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            elif not self.has_ended:
                os.kill(self.pid, number)


def _pidfd(pid: int) -> int | None:
    """Return a pidfd; None if this host has none. Raises `OSError` as `HeldProcess` does."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _NO_PIDFD:
            return None
        if error.errno == errno.EINVAL:  # the number of a thread
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
        raise

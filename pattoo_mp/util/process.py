"""Ends a child of ours."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


_LOOK_S: Final = 0.001


def kill_and_wait(pid: int, wait_s: float) -> None:
    """SIGKILL, and wait for the end, but not for ever: a dead disk may hold a process.

    `pid` was not reaped yet, and is not here, so it is no other process by now. It is looked at
    again and again: kernels before 5.3 and some containers have no descriptor of a process.
    """
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + wait_s
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, ended) is None and time.monotonic() < until:
        time.sleep(_LOOK_S)


# Lets a worker learn of its parent's death from the kernel, whatever state it is in.


#: From <linux/prctl.h>; see prctl(2).
_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int, by: signal.Signals) -> None:
    """Ask for `by` when the process `parent` ends; leave at once if it has already.

    The order matters: a parent that died before the call would never be told of.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


# Takes in a process that the one that began it leaves behind, so that it is waited for.
#
# Else it goes to the first process, and where that waits for nobody, as in many a container, it stays
# among the processes when it has ended. A server that never agrees to a session would fill the table.


#: From <linux/prctl.h>; see prctl(2).
_PR_SET_CHILD_SUBREAPER: Final = 36


@contextmanager
def taken_in(name: str) -> Iterator[None]:
    """Take in what is orphaned inside, and wait for those of this name that have ended.

    What ends later is waited for the next time.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        _wait_for_ended(name)


def _wait_for_ended(name: str) -> None:
    """Wait for children that have ended, but for none that somebody else waits for."""
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError, FileNotFoundError, ProcessLookupError):
        while ended := os.waitid(os.P_ALL, 0, look):
            if Path(f"/proc/{ended.si_pid}/comm").read_text(encoding="utf-8").strip() != name:
                return
            os.waitpid(ended.si_pid, 0)

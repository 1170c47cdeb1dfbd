"""Takes in a process that the one that began it leaves behind, so that it is waited for.

Else it goes to the first process, and where that waits for nobody, as in many a container, it stays
among the processes when it has ended. A server that never agrees to a session would fill the table.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

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

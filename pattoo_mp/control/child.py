"""Ends a child of ours."""

from __future__ import annotations

import os
import signal
import time
from typing import Final

_LOOK_S: Final = 0.001


def end(pid: int, wait_s: float) -> None:
    """SIGKILL, and wait for the end, but not for ever: a dead disk may hold a process.

    `pid` was not reaped yet, and is not here, so it is no other process by now. It is looked at
    again and again: kernels before 5.3 and some containers have no descriptor of a process.
    """
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + wait_s
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, ended) is None and time.monotonic() < until:
        time.sleep(_LOOK_S)

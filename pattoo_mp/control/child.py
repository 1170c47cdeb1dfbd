"""Ends a child of ours."""

from __future__ import annotations

import os
import select
import signal


def end(pid: int, wait_s: float) -> None:
    """SIGKILL, and wait for the end, but not for ever: a dead disk may hold a process.

    `pid` was not reaped yet, and is not here, so it is no other process by now.
    """
    os.kill(pid, signal.SIGKILL)
    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], wait_s)
    finally:
        os.close(descriptor)

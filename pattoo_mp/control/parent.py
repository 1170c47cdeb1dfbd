"""Lets a worker learn of its parent's death from the kernel, whatever state it is in."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import signal

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

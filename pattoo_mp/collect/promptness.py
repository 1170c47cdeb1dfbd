"""Asks the kernel for short turns, so that a tick that is due is not kept waiting by a busy host.

A process that uses a millisecond at each tick has to wait for others' turns (2 to 3 ms each) before
its own. Linux since 6.12 takes the length of a turn that a process wants, and lets one that wants
short turns begin them sooner. It gets no more processor time than before, and no priority: see
sched_setattr(2), sched(7).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

#: The shortest that the kernel grants.
_TURN_NS: Final = 100_000
#: size, policy, flags, nice, priority, runtime, deadline, period: `struct sched_attr`, first version.
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
#: glibc has had no function for it until lately; the numbers are from <asm/unistd.h>.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}


def ask_for_short_turns() -> bool:
    """Ask for this thread, and those that it starts. False where that cannot be asked.

    An older kernel takes the question and changes nothing. Another policy than the usual one was
    chosen by a person, and stays.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(
        _ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _TURN_NS, 0, 0
    )  # fmt: skip
    return bool(ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, wanted, 0) == 0)

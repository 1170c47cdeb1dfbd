"""A timer that a thread sets, and another waits for with `select`: timerfd_create(2).

It is no signal, of which a process has one kind for timers, and the log needs that. Python knows it since
3.13 only, so the C library is asked.
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from typing import Final

#: TFD_NONBLOCK and TFD_CLOEXEC, which are these on each architecture.
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
#: How often it went off: a number of 64 bits.
_COUNT_BYTES: Final = 8


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("every", _Moment), ("once", _Moment))


class Timer:
    """Readable once it has gone off. Raises `OSError` if the kernel gives none."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._set = library.timerfd_settime
        self._descriptor: int = library.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._never = _Setting()
        self._settings: dict[float, _Setting] = {}

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""
        return self._descriptor

    def start(self, seconds: float) -> None:
        """Let it go off in so many seconds, and not as it was set before."""
        setting = self._settings.get(seconds)
        if setting is None:
            moment = divmod(max(1, round(seconds * 1e9)), 1_000_000_000)
            setting = self._settings[seconds] = _Setting(once=_Moment(*moment))
        self._set(self._descriptor, 0, ctypes.byref(setting), None)

    def stop(self) -> None:
        """Let it not go off, and be readable no more."""
        self._set(self._descriptor, 0, ctypes.byref(self._never), None)

    def take(self) -> None:
        """Be readable no more until it goes off again."""
        with suppress(BlockingIOError):
            os.read(self._descriptor, _COUNT_BYTES)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

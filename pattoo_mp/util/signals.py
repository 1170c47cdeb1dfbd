"""Signals that only wake a loop, which then acts on them in its own time."""

from __future__ import annotations

import contextlib
import signal
import socket
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType


class Wakeup:
    """Readable as soon as one of `signals` has come, or `wake` was called from any thread.

    `chores` are done by the loop, in `take`, for signals that mean nothing else to it.
    Python's own handler notes the signal; the byte that it writes ends a `select` that waits. One
    that was blocked until now comes now.
    """

    def __init__(
        self,
        signals: Iterable[signal.Signals],
        chores: Mapping[signal.Signals, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._seen: set[signal.Signals] = set()
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._chores = chores
        for number in (*signals, *chores):
            signal.signal(number, self._note)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        for number in chores:
            # They come while something else is done; no system call of a library need know.
            signal.siginterrupt(number, False)

    def fileno(self) -> int:
        """Give the descriptor, for `select`."""
        return self._read.fileno()

    def wake(self) -> None:
        """End the wait of the loop, from another thread."""
        with contextlib.suppress(OSError):  # full: it is awake already
            self._write.send(b"\0")

    @property
    def has_signals(self) -> bool:
        """Whether one has come, though its byte may have come too late to end the last wait."""
        return bool(self._seen)

    def take(self) -> set[signal.Signals]:
        """The signals that came since the last call; those with a chore are dealt with here."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass
        seen, self._seen = self._seen, set()
        for number in seen & self._chores.keys():
            self._chores[number]()
        return seen - self._chores.keys()

    def close(self) -> None:
        """Stop listening."""
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._seen.add(signal.Signals(number))

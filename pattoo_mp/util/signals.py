"""Turn signals into wake-ups of a `select` loop, which handles them when it is ready."""

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
    """Becomes readable when one of `signals` arrives or any thread calls `wake`.

    `actions` are run by `take` when their signals arrive; the loop does not see these signals.
    Python's own signal handler writes a byte to a socket pair, which ends a waiting `select`.
    Signals that were blocked until now are unblocked.
    """

    def __init__(
        self,
        signals: Iterable[signal.Signals],
        actions: Mapping[signal.Signals, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._seen: set[signal.Signals] = set()
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._actions = actions
        for number in (*signals, *actions):
            signal.signal(number, self._note)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        for number in actions:
            # These arrive at any time. They must not interrupt system calls in libraries.
            signal.siginterrupt(number, False)

    def fileno(self) -> int:
        """Return the descriptor for `select`."""
        return self._read.fileno()

    def wake(self) -> None:
        """End the loop's wait, from any thread."""
        with contextlib.suppress(OSError):  # full, so the loop is awake already
            self._write.send(b"\0")

    @property
    def has_signals(self) -> bool:
        """Whether a signal has arrived, even if its byte was too late to end the last wait."""
        return bool(self._seen)

    def take(self) -> set[signal.Signals]:
        """Run the actions of the signals since the last call; return those without an action."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass
        seen, self._seen = self._seen, set()
        for number in seen & self._actions.keys():
            self._actions[number]()
        return seen - self._actions.keys()

    def close(self) -> None:
        """Stop listening."""
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._seen.add(signal.Signals(number))

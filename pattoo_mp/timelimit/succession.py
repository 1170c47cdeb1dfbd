"""Work done by one thread; where that hangs, another takes its place and goes on.

To hand a question over to another thread, and to wait for it, costs about as much as the answer. So the
thread that does the work asks by itself, under a timer, which costs two system calls. Threads change
only when the timer goes off: the one that hangs is left behind, and a successor goes on with the work.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pattoo_mp.timelimit.asker import Asker
from pattoo_mp.timelimit.superseded import SupersededError
from pattoo_mp.timelimit.timer import Timer
from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed import FileDescriptorLike


#: How long to wait for threads on a host that has none to spare.
_NO_THREADS_S: Final = 1.0
#: More than a thread takes from the end of its work to its rest.
_REST_S: Final = 5.0


class Succession:
    """Threads that do the same work, one after the other.

    To be made and run by the main thread of a process, which only waits meanwhile: for the timer,
    and for signals, since Python runs their handlers there. Any of `signals` asks the work to end:
    from then on `stopping` is readable. `chores` are those of a `Wakeup`. One successor stands ready,
    since a host in trouble may have no thread to spare. `name` is for the threads.
    """

    def __init__(
        self,
        name: str,
        signals: Iterable[signal.Signals] = (),
        chores: Mapping[signal.Signals, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._name = name
        self._wakeup = Wakeup(signals, chores)
        self._timer = Timer()
        self.stopping, self._stop = socket.socketpair()
        #: The thread that does the work.
        self.current = Asker(name)
        self._next: Asker | None = Asker(name)
        self._leave_behind: Callable[[], bool] | None = None
        self._due = inf
        self._is_done = False
        self._error: BaseException | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Have `work` done, and wait for its end. Raises what it raises.

        A successor calls it anew. So what is to be done, and how far it is, must not be kept on the
        stack of the one that asks what may hang.
        """
        self._work = work
        self._is_done = False
        self.current.start(self._do)
        reading: list[FileDescriptorLike] = [self._wakeup, self._timer]
        while not self._is_done:
            readable, _, _ = select.select(reading, [], [])
            if self._wakeup in readable and self._wakeup.take():
                self._stop.close()  # which its other end sees, and goes on seeing
            if self._timer in readable:
                self._relieve()
        self.current.is_idle(_REST_S)
        error, self._error = self._error, None
        if error:
            raise error

    def watch(self, limit_s: float, leave_behind: Callable[[], bool]) -> None:
        """See in `limit_s` whether the thread that does the work hangs, and succeed it then.

        `leave_behind` decides that, for good: it is called once, by the main thread.
        """
        self._leave_behind = leave_behind
        self._due = time.monotonic() + limit_s
        self._timer.start(limit_s)

    def unwatch(self) -> None:
        """See to it no more. Not for a thread that was left behind: the timer is its successor's."""
        self._due = inf
        self._timer.stop()

    def close(self) -> None:
        """Listen to signals no more."""
        self._wakeup.close()
        self._timer.close()
        self.stopping.close()
        self._stop.close()

    def _relieve(self) -> None:
        self._timer.take()
        if time.monotonic() < self._due:
            return  # it was answered just now
        if self._next is None:
            with suppress(RuntimeError):  # no more threads to be had
                self._next = Asker(self._name)
        if self._next is None:
            self._timer.start(_NO_THREADS_S)
            return
        if self._leave_behind is None or not self._leave_behind():
            return
        self._leave_behind, self._due = None, inf
        self.current, self._next = self._next, None
        self.current.start(self._do)
        with suppress(RuntimeError):  # it is tried again when there is need of one
            self._next = Asker(self._name)

    def _do(self) -> None:
        try:
            self._work()
        except SupersededError:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again, by `run`
            self._error = error
        self._is_done = True
        self._wakeup.wake()

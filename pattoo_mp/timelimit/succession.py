"""Work done by one thread; where that hangs, another takes its place and goes on.

To hand a question over to another thread, and to wait for it, costs about as much as the answer. So the
thread that does the work asks by itself, under a timer, which costs two system calls. Threads change
only when the timer goes off: the one that hangs is left behind, and a successor goes on with the work.
"""

from __future__ import annotations

import signal
import time
from math import inf
from threading import Event
from typing import TYPE_CHECKING, Final

from pattoo_mp.timelimit.asker import Asker

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long to wait for threads on a host that has none to spare.
_NO_THREADS_S: Final = 1.0
#: More than a thread takes from the end of its work to its rest.
_LEAVE_S: Final = 5.0


class SupersededError(BaseException):
    """Raised in a thread that was left behind, so that it does no more of what its successor does.

    It is no `Exception`: whoever goes on after all that can go wrong must not go on after this.
    """


class Succession:
    """Threads that do the same work, one after the other.

    To be made and run by the main thread of a process, which does nothing but wait meanwhile: Python
    runs the handlers of signals there, and so that of the timer (SIGALRM). One successor stands
    ready, since a host in trouble may have no thread to spare. `name` is for the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        #: The thread that does the work.
        self.current = Asker(name)
        self._next: Asker | None = Asker(name)
        self._has_hung: Callable[[], bool] = lambda: False
        self._until = inf
        self._ended = Event()
        self._error: BaseException | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Have `work` done, and wait for its end. Raises what it raises.

        A successor calls it anew. So what is to be done, and how far it is, must not be kept on the
        stack of the one that asks what may hang.
        """
        self._work = work
        self._error = None
        self._ended.clear()
        signal.signal(signal.SIGALRM, lambda *_: self._relieve())
        self.current.start(self._do)
        self._ended.wait()
        self.current.is_idle(_LEAVE_S)
        if self._error:
            raise self._error

    def watch(self, limit_s: float, has_hung: Callable[[], bool]) -> None:
        """Look after `limit_s` whether the thread that does the work hangs, and then succeed it.

        `has_hung` decides, in the main thread: what it says is final.
        """
        self._has_hung = has_hung
        self._until = time.monotonic() + limit_s
        signal.setitimer(signal.ITIMER_REAL, limit_s)

    def unwatch(self) -> None:
        """Look no more. Not for a thread that was left behind: the timer is its successor's."""
        self._until = inf
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _relieve(self) -> None:
        if time.monotonic() < self._until:
            return  # it is somebody else's signal, or one that came too late
        try:
            successor, self._next = self._next or Asker(self._name), None
        except RuntimeError:  # no more threads to be had
            signal.setitimer(signal.ITIMER_REAL, _NO_THREADS_S)
            return
        if not self._has_hung():
            self._next = successor
            return
        self.current = successor
        successor.start(self._do)
        try:
            self._next = Asker(self._name)
        except RuntimeError:
            return  # it is tried again when there is need of one

    def _do(self) -> None:
        try:
            self._work()
        except SupersededError:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again, by `run`
            self._error = error
        self._ended.set()

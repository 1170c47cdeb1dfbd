"""A timer that a thread sets, and another waits for with `select`: timerfd_create(2).

It is no signal, of which a process has one kind for timers, and the log needs that. Python knows it since
3.13 only, so the C library is asked.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import time
import weakref
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]
    import signal
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed import FileDescriptorLike


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


# What a thread that was left behind ends with.


class SupersededError(BaseException):
    """Raised in a thread that was left behind, so that it does no more of what its successor does.

    It is no `Exception`: whoever goes on after all that can go wrong must not go on after this.
    """


# A thread that asks what may hang, so that the thread that polls need not.


class WorkerThread:
    """One daemon thread, for one job at a time.

    A thread that hangs in the kernel cannot be ended. This one ends by itself as soon as it has
    nothing to do and nobody holds its `WorkerThread` any more.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._busy = False
        Thread(target=_serve, args=(self._jobs, self._done), name=name, daemon=True).start()
        weakref.finalize(self, self._jobs.put, None).atexit = False

    def start(self, job: Job) -> None:
        """Begin a job, which must not raise. Only an idle asker is given one."""
        self._busy = True
        self._jobs.put(job)

    def is_idle(self, within_s: float = 0.0) -> bool:
        """Whether the last job is done, or is so before `within_s` have passed."""
        if self._busy:
            try:
                self._done.get(timeout=max(0.0, within_s))
            except Empty:
                return False
            self._busy = False
        return True


def _serve(jobs: SimpleQueue[Job | None], done: SimpleQueue[None]) -> None:
    # It knows the queues only: a thread that held its asker would keep it for ever.
    while True:
        job = jobs.get()
        if job is None:
            return
        job()
        del job
        done.put(None)


# Work done by one thread; where that hangs, another takes its place and goes on.
#
# To hand a question over to another thread, and to wait for it, costs about as much as the answer. So the
# thread that does the work asks by itself, under a timer, which costs two system calls. Threads change
# only when the timer goes off: the one that hangs is left behind, and a successor goes on with the work.


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
        self.current = WorkerThread(name)
        self._next: WorkerThread | None = WorkerThread(name)
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
                self._next = WorkerThread(self._name)
        if self._next is None:
            self._timer.start(_NO_THREADS_S)
            return
        if self._leave_behind is None or not self._leave_behind():
            return
        self._leave_behind, self._due = None, inf
        self.current, self._next = self._next, None
        self.current.start(self._do)
        with suppress(RuntimeError):  # it is tried again when there is need of one
            self._next = WorkerThread(self._name)

    def _do(self) -> None:
        try:
            self._work()
        except SupersededError:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again, by `run`
            self._error = error
        self._is_done = True
        self._wakeup.wake()

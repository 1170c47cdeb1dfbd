"""Work that goes on in another thread when the thread that does it hangs.

To pass a query to another thread and wait for it costs about as much as the answer. So the thread
that does the work makes the query itself, under a timer, which costs two system calls. Threads
change only when the timer expires: the thread that hangs is left behind, and a successor
(`Succession`) continues the work.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import time
import weakref
from contextlib import suppress
from functools import cache
from math import inf
from queue import Empty, SimpleQueue
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed import FileDescriptorLike

    Job = Callable[[], None]


#: The time between attempts to start a thread, on a host that has no more threads (s).
_NO_THREADS_S: Final = 1.0
#: More than a thread takes from the end of its work until it is idle (s).
_IDLE_S: Final = 5.0
#: From <malloc.h>: see mallopt(3). Only one thread at a time runs Python, so few arenas are enough.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
#: TFD_NONBLOCK and TFD_CLOEXEC, which equal these on each architecture.
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
#: What a timerfd gives to read: the number of expirations, in 64 bits.
_COUNT_BYTES: Final = 8


class SupersededError(BaseException):
    """Raised in a thread that was left behind, to keep it from doing its successor's work.

    It is no `Exception`, so code that survives every error does not catch it.
    """


class Succession:
    """Threads that do the same work, one after the other.

    Create and run it in the main thread of a process. That thread only waits meanwhile: for the
    timer, and for signals, since Python runs signal handlers in the main thread. Each of `signals`
    asks the work to end: it makes `stopping` readable, for good. `chores` are those of a `Wakeup`.
    One successor is always started in advance, since a host in trouble may have no thread to spare.
    `name` is for the threads.
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
        self._limit_s = 0.0
        self._is_done = False
        self._error: BaseException | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, and wait for its end. Raises what it raises.

        A successor calls `work` from the start. So what is to be done, and how much of it is done,
        must not be kept on the stack of the thread that makes a query.
        """
        self._work = work
        self._is_done = False
        self.current.start(self._do)
        reading: list[FileDescriptorLike] = [self._wakeup, self._timer]
        while not self._is_done:
            readable, _, _ = select.select(reading, [], [])
            if self._wakeup in readable and self._wakeup.take():
                self._stop.close()  # `stopping` is at end of file from now on, thus readable
            if self._timer in readable:
                self._on_timer()
        self.current.is_idle(_IDLE_S)
        error, self._error = self._error, None
        if error:
            raise error

    def watch(self, limit_s: float, leave_behind: Callable[[], bool]) -> None:
        """Start a successor in `limit_s` if the thread that does the work hangs then.

        `leave_behind` decides whether it does. The main thread calls it every `limit_s`, until it is
        true, which is for good.
        """
        self._leave_behind, self._limit_s = leave_behind, limit_s
        self._due = time.monotonic() + limit_s
        self._timer.start(limit_s)

    def unwatch(self) -> None:
        """Stop the timer. Not for a thread that was left behind: the timer is its successor's."""
        self._due = inf
        self._timer.stop()

    def close(self) -> None:
        """Close all descriptors, and no longer receive signals."""
        self._wakeup.close()
        self._timer.close()
        self.stopping.close()
        self._stop.close()

    def _on_timer(self) -> None:
        self._timer.take()
        left_s = self._due - time.monotonic()
        if left_s > 0:
            # The query was answered just now. If there is a new one, that needs its own time.
            if left_s < inf:
                self._timer.start(left_s)
            return
        if self._next is None:
            with suppress(RuntimeError):  # the host has no more threads
                self._next = WorkerThread(self._name)
        if self._next is None:
            self._timer.start(_NO_THREADS_S)
            return
        if self._leave_behind is None:
            return
        if not self._leave_behind():
            self._timer.start(self._limit_s)
            return
        self._leave_behind, self._due = None, inf
        self.current, self._next = self._next, None
        self.current.start(self._do)
        with suppress(RuntimeError):  # the next expiration tries again
            self._next = WorkerThread(self._name)

    def _do(self) -> None:
        try:
            self._work()
        except SupersededError:
            return
        except BaseException as error:  # noqa: BLE001 - `run` raises it again
            self._error = error
        self._is_done = True
        self._wakeup.wake()


class WorkerThread:
    """One daemon thread, for one job at a time.

    A thread that hangs in the kernel cannot be ended. This one ends by itself as soon as it is idle
    and nothing refers to its `WorkerThread` any more.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._busy = False
        _limit_arenas()
        Thread(target=_serve, args=(self._jobs, self._done), name=name, daemon=True).start()
        weakref.finalize(self, self._jobs.put, None).atexit = False

    def start(self, job: Job) -> None:
        """Start a job. The thread must be idle, and the job must not raise."""
        self._busy = True
        self._jobs.put(job)

    def is_idle(self, within_s: float = 0.0) -> bool:
        """Whether the last job is done, or will be within `within_s`."""
        if self._busy:
            try:
                self._done.get(timeout=max(0.0, within_s))
            except Empty:
                return False
            self._busy = False
        return True


@cache
def _limit_arenas() -> None:
    """Keep the C library from counting the processors when a thread first allocates memory.

    glibc has an arena for each thread, up to a multiple of the number of processors. It reads that
    from a file of the kernel, which may hang as well (under lxcfs): each new thread would hang.
    """
    with suppress(AttributeError):  # a C library without arenas
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _serve(jobs: SimpleQueue[Job | None], done: SimpleQueue[None]) -> None:
    # It refers to the queues only: a reference to its `WorkerThread` would keep both alive.
    while True:
        job = jobs.get()
        if job is None:
            return
        job()
        del job
        done.put(None)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """A one-shot timer that one thread sets and another waits for with `select`: timerfd_create(2).

    It is readable once it has expired. A signal would not do: a process has only one kind of signal
    for timers, and the log needs it. Python has a timerfd since 3.13 only, so this one calls the C
    library. Raises `OSError` if the kernel gives none.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._set = library.timerfd_settime
        self._descriptor: int = library.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._disarmed = _TimerSpec()
        self._specs: dict[float, _TimerSpec] = {}

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._descriptor

    def start(self, seconds: float) -> None:
        """Expire in `seconds`, instead of when it was set to before."""
        spec = self._specs.get(seconds)
        if spec is None:
            moment = divmod(max(1, round(seconds * 1e9)), 1_000_000_000)
            spec = self._specs[seconds] = _TimerSpec(value=_Timespec(*moment))
        self._set(self._descriptor, 0, ctypes.byref(spec), None)

    def stop(self) -> None:
        """Do not expire, and no longer be readable."""
        self._set(self._descriptor, 0, ctypes.byref(self._disarmed), None)

    def take(self) -> None:
        """No longer be readable until it expires again."""
        with suppress(BlockingIOError):
            os.read(self._descriptor, _COUNT_BYTES)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

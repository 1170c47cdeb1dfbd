"""A thread that asks what may hang, so that the thread that polls need not."""

from __future__ import annotations

import weakref
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]


class Asker:
    """One daemon thread, for one job at a time.

    A thread that hangs in the kernel cannot be ended. This one ends by itself as soon as it has
    nothing to do and nobody holds its `Asker` any more.
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

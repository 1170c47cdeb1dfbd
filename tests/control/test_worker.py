"""One worker process, where the host lacks what its start takes."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from pattoo_mp.control.worker import Role, Worker, ending
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for

WORKER = Role("uploader", lambda _: None, signal.SIGKILL)


def short_of(limit: int, left: int) -> str:
    """Try to start a worker with so much left of a limit; what that raises, and what it leaves."""
    before = held()
    _, most = resource.getrlimit(limit)
    resource.setrlimit(limit, (left, most))
    try:
        Worker(WORKER).start(lambda: None)
    except OSError as error:
        resource.setrlimit(limit, (most, most))
        return f"{errno.errorcode[error.errno or 0]}, {'the same' if held() == before else held()}"
    return "started"


def held() -> tuple[set[Path], set[int]]:
    """The descriptors that are open, and the signals that are held back."""
    return set(Path("/proc/self/fd").iterdir()), signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("limit", "left", "why"),
    [(resource.RLIMIT_NPROC, 0, "EAGAIN"), (resource.RLIMIT_NOFILE, 3, "EMFILE")],
)
def test_a_start_that_fails_leaves_nothing(limit: int, left: int, why: str) -> None:
    """No descriptor, and no signal that is held back."""
    assert as_nobody(lambda: short_of(limit, left)) == f"{why}, the same"


@pytest.mark.parametrize("number", [signal.SIGKILL, 40, signal.SIGRTMAX])
def test_an_end_by_any_signal_is_told(number: int) -> None:
    """Most of the real-time signals have no name."""
    worker = Worker(Role("uploader", lambda _: signal.pause(), signal.SIGKILL))
    worker.start(lambda: None)
    os.kill(worker.pid, number)
    told: list[str] = []

    def ended() -> bool:
        code = worker.reap()
        if code is not None:
            told.append(ending(code))
        return code is not None

    wait_for(ended, what="its end")
    worker.close_link()
    expected = {40: "40", signal.SIGRTMAX: "SIGRTMAX", signal.SIGKILL: "SIGKILL"}[number]
    assert told == [f"signal {expected}"]

"""The delay before a restart; failed starts; and the description of an exit."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.control.worker import RestartDelay, Role, Worker, exit_description
from tests.support.unprivileged import as_nobody
from tests.support.waiting import wait_for


def test_the_first_crash_causes_no_delay() -> None:
    """The worker is restarted at once."""
    assert RestartDelay().seconds(0, made_progress=False) == 0


def test_crashes_in_a_row_cause_growing_delays() -> None:
    """From the second crash on, the delay doubles up to 30 s."""
    restarts = RestartDelay()
    delays = [restarts.seconds(n, made_progress=False) for n in range(2000)]
    assert delays[:10] == [0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert set(delays[10:]) == {30}


def test_progress_ends_a_row_of_crashes() -> None:
    """After that, the next crash counts as an accident again."""
    restarts = RestartDelay()
    for n in range(10):
        restarts.seconds(n, made_progress=False)
    assert restarts.seconds(11, made_progress=True) == 0
    assert [restarts.seconds(12, made_progress=False) for _ in range(3)] == [0, 0.25, 0.5]


def test_eighteen_kills_in_twenty_seconds_cause_no_delay() -> None:
    """Killing a working worker causes no delay."""
    restarts = RestartDelay()
    now = 1000.0
    delays = [restarts.seconds(now + n * 20 / 18, made_progress=True) for n in range(18)]
    assert delays == [0] * 18


def test_thirty_deaths_after_progress_are_free_then_one_every_two_seconds() -> None:
    """A worker that crashes at each poll does not overload the host."""
    restarts = RestartDelay()
    now = 1000.0
    for _ in range(30):
        assert restarts.seconds(now, made_progress=True) == 0
    for _ in range(10):
        delay = restarts.seconds(now, made_progress=True)
        assert delay == 2
        now += delay


def test_the_token_bucket_refills() -> None:
    """After a minute, thirty restarts are without delay again, and no more than that."""
    restarts = RestartDelay()
    for now in (1000.0, 1062.0, 100_000.0):
        delays = [restarts.seconds(now, made_progress=True) for _ in range(31)]
        assert delays == [0] * 30 + [2]


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=80))
def test_a_delay_is_between_zero_and_thirty_seconds(
    deaths: list[tuple[float, bool]],
) -> None:
    """If each delay is waited for, none is longer than 30 s."""
    restarts = RestartDelay()
    now = 1000.0
    for lived_s, made_progress in deaths:
        now += lived_s
        delay = restarts.seconds(now, made_progress=made_progress)
        assert 0 <= delay <= 30
        now += delay


# One worker process.

WORKER = Role("uploader", lambda _: None, signal.SIGKILL)


def start_with_limit(limit: int, left: int) -> str:
    """Start a worker with so much left of a limit. Return the error, and what it leaves open."""
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
    """The open descriptors and the blocked signals."""
    return set(Path("/proc/self/fd").iterdir()), signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("limit", "left", "why"),
    [(resource.RLIMIT_NPROC, 0, "EAGAIN"), (resource.RLIMIT_NOFILE, 3, "EMFILE")],
)
def test_a_failed_start_leaves_nothing_open(limit: int, left: int, why: str) -> None:
    """No open descriptor, and no blocked signal."""
    assert as_nobody(lambda: start_with_limit(limit, left)) == f"{why}, the same"


@pytest.mark.parametrize("number", [signal.SIGKILL, 40, signal.SIGRTMAX])
def test_an_exit_by_any_signal_is_described(number: int) -> None:
    """Most of the real-time signals have no name."""
    worker = Worker(Role("uploader", lambda _: signal.pause(), signal.SIGKILL))
    worker.start(lambda: None)
    os.kill(worker.pid, number)
    descriptions: list[str] = []

    def ended() -> bool:
        code = worker.reap()
        if code is not None:
            descriptions.append(exit_description(code))
        return code is not None

    wait_for(ended, what="its exit")
    worker.close_link()
    expected = {40: "40", signal.SIGRTMAX: "SIGRTMAX", signal.SIGKILL: "SIGKILL"}[number]
    assert descriptions == [f"signal {expected}"]

"""The end of a child."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util.process import kill_and_wait

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def child() -> Iterator[int]:
    """A child that waits for ever."""
    pid = os.fork()
    if not pid:
        signal.pause()
        os._exit(1)
    yield pid
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_it_is_over_and_there_to_be_reaped(child: int) -> None:
    """Who made it still learns how it ended."""
    kill_and_wait(child, 20)
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def test_one_that_is_stopped_is_no_exception(child: int) -> None:
    """SIGKILL waits for nothing."""
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED)
    kill_and_wait(child, 20)
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def test_one_that_does_not_end_is_not_waited_for(child: int) -> None:
    """As in the kernel, by a dead disk: at once, if that is asked for."""
    kill_and_wait(child, 0.0)

"""Holding a process, so that a signal reaches it and no other."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util import held_process
from pattoo_mp.util.held_process import HeldProcess, all_processes, stat_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that waits."""
    with subprocess.Popen(
        [sys.executable, "-c", _WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture(params=["pidfd", "no pidfd"])
def _pidfd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with pidfd, and one without: that cannot be had for real."""

    def refuse(_: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if request.param != "pidfd":
        monkeypatch.setattr(os, "pidfd_open", refuse)


@pytest.mark.usefixtures("_pidfd")
@pytest.mark.parametrize("number", [0, -1, -2, -(1 << 40)])
def test_what_is_no_process_cannot_be_held(number: int) -> None:
    """For kill(2) these are a group, or every process."""
    with pytest.raises(ProcessLookupError):
        HeldProcess(number)


@pytest.mark.usefixtures("_pidfd")
def test_a_signal_reaches_the_held_process(child: subprocess.Popen[str]) -> None:
    """Until it ends; then nothing happens."""
    with HeldProcess(child.pid) as held:
        assert not held.has_ended
        held.signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM
        assert held.has_ended
        held.signal(signal.SIGTERM)


def test_the_successor_of_a_number_gets_no_signal(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pidfd the start time shows that the number belongs to another process now."""

    def refuse(_: int) -> int:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    held = HeldProcess(child.pid)
    now = stat_of(child.pid)
    assert now is not None
    later = replace(now, started=now.started + 1)
    monkeypatch.setattr(held_process, "stat_of", lambda _: later)
    assert held.has_ended
    held.signal(signal.SIGKILL)
    assert child.poll() is None


def test_the_state_of_a_process(child: subprocess.Popen[str]) -> None:
    """Its parent, its group, and whether it runs; a zombie does not."""
    found = dict(all_processes())[child.pid]
    assert (found.parent, found.group, found.runs) == (os.getpid(), os.getpgrp(), True)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = stat_of(child.pid)
    assert zombie is not None
    assert not zombie.runs
    child.wait()
    assert stat_of(child.pid) is None

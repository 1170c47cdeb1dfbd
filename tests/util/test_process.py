"""Dying with a parent, reaping orphans, and killing a child."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util.process import die_with, kill_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    Child = Callable[[int], None]
    from collections.abc import Iterator


class Family:
    """A child process of ours with its own child, which runs `child(parent's pid)`."""

    def __init__(self, child: Child) -> None:
        numbers, ready = os.pipe()
        self.parent = os.fork()
        if self.parent == 0:
            _be_parent(ready, child)
        os.close(ready)
        self.child = int(os.read(numbers, 20))
        os.close(numbers)
        # A pidfd stays valid; a pid may be reused.
        self.descriptor = os.pidfd_open(self.child)

    def kill_parent(self) -> None:
        """SIGKILL the parent."""
        os.kill(self.parent, signal.SIGKILL)
        os.waitpid(self.parent, 0)

    def child_ends(self, seconds: float) -> bool:
        """Whether the child ends within so many seconds."""
        return bool(select.select([self.descriptor], [], [], seconds)[0])

    def end(self) -> None:
        """Kill the child if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        os.close(self.descriptor)


def _be_parent(ready: int, child: Child) -> None:
    try:
        parent = os.getpid()
        if os.fork() == 0:
            child_process(ready, parent, child)
        signal.pause()
    finally:
        os._exit(1)


def child_process(ready: int, parent: int, child: Child) -> None:
    """Run `child`, report that it is done, and wait forever."""
    try:
        child(parent)
        os.write(ready, str(os.getpid()).encode())
        while True:
            signal.pause()
    finally:
        os._exit(1)


def stopped(parent: int) -> None:
    """Ask for SIGKILL, then ignore every signal that can be ignored."""
    die_with(parent, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_with_its_parent(number: signal.Signals) -> None:
    """After SIGKILL the parent can send nothing; the kernel signals the child."""
    family = Family(lambda parent: die_with(parent, number))
    assert not family.child_ends(0)
    family.kill_parent()
    assert family.child_ends(20)
    family.end()


def test_a_stopped_child_dies_with_its_parent() -> None:
    """SIGKILL ends a process that SIGSTOP has stopped."""
    family = Family(stopped)
    os.kill(family.child, signal.SIGSTOP)
    family.kill_parent()
    assert family.child_ends(20)
    family.end()


def test_a_child_without_die_with_lives_on() -> None:
    """Proof that the tests above test `die_with`."""
    family = Family(lambda _: None)
    family.kill_parent()
    assert not family.child_ends(0.2)
    family.end()


def test_a_child_whose_parent_is_gone_exits() -> None:
    """The kernel sends no signal for a parent that ended before the call."""
    child = os.fork()
    if child == 0:
        try:
            die_with(os.getppid() + 1, signal.SIGKILL)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


# --- orphans, each test in a new interpreter without other children

#: `leave` starts a `sleep` that outlives its parent; `parent_of` returns 0 for a process that is gone.
LEAVING = """
import os, subprocess, time
from pathlib import Path
from pattoo_mp.util.process import reaping_orphans

def leave():
    command = ["sh", "-c", "sleep 0.2 >/dev/null & echo $!"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)

def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat")
    return int(stat.read_text().rpartition(")")[2].split()[1]) if stat.exists() else 0
"""


def says(program: str) -> str:
    """Return what the program prints; it must exit with 0."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVING + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_an_orphan_is_adopted_and_reaped() -> None:
    """No zombie stays, whatever process 1 is."""
    program = """
with reaping_orphans("sleep"):
    pid = leave()
    assert parent_of(pid) == os.getpid()
until = time.monotonic() + 20
while parent_of(pid) and time.monotonic() < until:
    with reaping_orphans("sleep"):
        time.sleep(0.01)
print(parent_of(pid))
"""
    assert says(program) == "0"


def test_a_later_orphan_is_not_adopted() -> None:
    """Process 1 adopts it, as usual."""
    program = """
with reaping_orphans("sleep"):
    pass
print(parent_of(leave()) != os.getpid())
"""
    assert says(program) == "True"


def test_a_child_with_its_own_waiter_is_not_reaped() -> None:
    """Its waiter gets the exit status."""
    program = """
child = subprocess.Popen(["sh", "-c", "exit 3"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
with reaping_orphans("sleep"):
    pass
print(child.wait())
"""
    assert says(program) == "3"


# --- kill_and_wait


@pytest.fixture
def child() -> Iterator[int]:
    """A child that waits forever."""
    pid = os.fork()
    if not pid:
        signal.pause()
        os._exit(1)
    yield pid
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_killed_child_has_ended_and_is_not_reaped(child: int) -> None:
    """The parent can still read its exit status."""
    kill_and_wait(child, 20)
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def test_a_stopped_child_is_killed(child: int) -> None:
    """SIGKILL ends a stopped process, too."""
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED)
    kill_and_wait(child, 20)
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_the_wait_for_a_child_is_bounded(
    child: int, wait_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that a dead disk holds does not end on SIGKILL. An endless wait would fail by time."""
    with monkeypatch.context() as held:
        # No process can be held in the kernel at will, so here the signal does not arrive.
        held.setattr(os, "kill", lambda _pid, number: sent.append(number))
        sent: list[int] = []
        kill_and_wait(child, wait_s)
    assert sent == [signal.SIGKILL]
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    os.kill(child, signal.SIGKILL)

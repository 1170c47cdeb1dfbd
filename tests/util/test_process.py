"""What a worker learns of its parent's death."""

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
    """A parent that is ours, and its child, which does `child` with its parent's number."""

    def __init__(self, child: Child) -> None:
        numbers, told = os.pipe()
        self.parent = os.fork()
        if self.parent == 0:
            _be_parent(told, child)
        os.close(told)
        self.child = int(os.read(numbers, 20))
        os.close(numbers)
        # A descriptor of a process names it for good; its number may be given again.
        self.descriptor = os.pidfd_open(self.child)

    def kill_parent(self) -> None:
        """SIGKILL the parent."""
        os.kill(self.parent, signal.SIGKILL)
        os.waitpid(self.parent, 0)

    def child_ends(self, seconds: float) -> bool:
        """Whether the child ends within so many seconds."""
        return bool(select.select([self.descriptor], [], [], seconds)[0])

    def end(self) -> None:
        """Leave nobody behind."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        os.close(self.descriptor)


def _be_parent(told: int, child: Child) -> None:
    try:
        parent = os.getpid()
        if os.fork() == 0:
            child_process(told, parent, child)
        signal.pause()
    finally:
        os._exit(1)


def child_process(told: int, parent: int, child: Child) -> None:
    """Do what the child does, say that it is done, and live on."""
    try:
        child(parent)
        os.write(told, str(os.getpid()).encode())
        while True:
            signal.pause()
    finally:
        os._exit(1)


def stopped(parent: int) -> None:
    """Ask for SIGKILL, then ignore whatever can be ignored."""
    die_with(parent, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_with_its_parent(number: signal.Signals) -> None:
    """SIGKILL the parent, which can tell nobody: the kernel tells the child."""
    family = Family(lambda parent: die_with(parent, number))
    assert not family.child_ends(0)
    family.kill_parent()
    assert family.child_ends(20)
    family.end()


def test_a_stopped_child_dies_with_its_parent() -> None:
    """SIGKILL reaches what SIGSTOP holds."""
    family = Family(stopped)
    os.kill(family.child, signal.SIGSTOP)
    family.kill_parent()
    assert family.child_ends(20)
    family.end()


def test_without_it_a_child_lives_on() -> None:
    """So the tests above show what they say."""
    family = Family(lambda _: None)
    family.kill_parent()
    assert not family.child_ends(0.2)
    family.end()


def test_a_child_whose_parent_is_gone_already_leaves() -> None:
    """A parent that died before the child asked would never be told of."""
    child = os.fork()
    if child == 0:
        try:
            die_with(os.getppid() + 1, signal.SIGKILL)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


# Processes that their starter leaves behind, each time in an interpreter without other children.

#: Begins a `sleep` that outlives who began it; its number, and who its parent is (0: it is gone).
LEAVING = """
import os, subprocess, time
from pathlib import Path
from pattoo_mp.util.process import taken_in

def leave():
    command = ["sh", "-c", "sleep 0.2 >/dev/null & echo $!"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)

def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat")
    return int(stat.read_text().rpartition(")")[2].split()[1]) if stat.exists() else 0
"""


def says(program: str) -> str:
    """What it prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVING + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_an_orphan_is_taken_in_and_waited_for() -> None:
    """Nothing stays of it among the processes, whoever the first process is."""
    program = """
with taken_in("sleep"):
    pid = leave()
    assert parent_of(pid) == os.getpid()
until = time.monotonic() + 20
while parent_of(pid) and time.monotonic() < until:
    with taken_in("sleep"):
        time.sleep(0.01)
print(parent_of(pid))
"""
    assert says(program) == "0"


def test_an_orphan_of_later_is_not_ours() -> None:
    """It goes where it would have gone."""
    program = """
with taken_in("sleep"):
    pass
print(parent_of(leave()) != os.getpid())
"""
    assert says(program) == "True"


def test_a_child_that_somebody_waits_for_is_left_to_them() -> None:
    """They get its exit status."""
    program = """
child = subprocess.Popen(["sh", "-c", "exit 3"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
with taken_in("sleep"):
    pass
print(child.wait())
"""
    assert says(program) == "3"


# The end of a child.


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

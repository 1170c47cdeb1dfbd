"""What a worker learns of its parent's death."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util.process import die_with

if TYPE_CHECKING:
    from collections.abc import Callable

    Child = Callable[[int], None]


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

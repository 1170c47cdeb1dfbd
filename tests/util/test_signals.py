"""Signals that wake a loop."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.util.signals import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    """A `Wakeup` for two signals; afterwards the old handlers are restored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    listening = Wakeup(SIGNALS)
    yield listening
    listening.close()
    for number, handler in before.items():
        signal.signal(number, handler)


def is_awake(wakeup: Wakeup, seconds: float = 0) -> bool:
    """Whether a `select` ends before `seconds` are over."""
    return bool(select.select([wakeup], [], [], seconds)[0])


def test_a_signal_ends_a_wait(wakeup: Wakeup) -> None:
    """A waiting `select` returns as soon as the signal arrives."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    assert is_awake(wakeup, 20)
    timer.join()
    assert wakeup.take() == {signal.SIGUSR1}


def test_signals_are_taken_once(wakeup: Wakeup) -> None:
    """After `take` there is nothing left to read or to handle."""
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert is_awake(wakeup, 20)
    assert wakeup.take() == set(SIGNALS)
    assert not is_awake(wakeup)
    assert wakeup.take() == set()


def test_a_blocked_signal_arrives_once_there_is_a_loop() -> None:
    """It arrived before there was a handler, and did not end the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.raise_signal(signal.SIGUSR1)  # to this thread: the others do not block it
    before = signal.getsignal(signal.SIGUSR1)
    listening = Wakeup({signal.SIGUSR1})
    assert is_awake(listening, 20)
    assert listening.take() == {signal.SIGUSR1}
    listening.close()
    signal.signal(signal.SIGUSR1, before)


def test_wake_ends_a_wait_without_a_signal(wakeup: Wakeup) -> None:
    """Another thread may end the wait; `take` returns no signal then."""
    timer = threading.Timer(0.05, wakeup.wake)
    timer.start()
    assert is_awake(wakeup, 20)
    timer.join()
    assert wakeup.take() == set()


def test_wake_never_blocks(wakeup: Wakeup) -> None:
    """If the loop does not read, the socket fills up, and `wake` still returns."""
    for _ in range(10_000):
        wakeup.wake()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert wakeup.take() == {signal.SIGUSR1}
    assert not is_awake(wakeup)

"""A succession of threads for a test, which runs in the main thread."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pattoo_mp.timelimit.succession import Succession

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def succession(name: str = "a test's work") -> Iterator[Succession]:
    """One whose timer is nobody's after the test."""
    before = signal.getsignal(signal.SIGALRM)
    yield Succession(name)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)

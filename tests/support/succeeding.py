"""A succession of threads for tests, which run in the main thread."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from pattoo_mp.timelimit.succession import Succession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


@contextmanager
def succession(
    name: str = "a test's work",
    signals: Iterable[signal.Signals] = (),
    chores: Mapping[signal.Signals, Callable[[], None]] = MappingProxyType({}),
) -> Iterator[Succession]:
    """Yield a succession; restore the signal handlers afterwards."""
    before = {number: signal.getsignal(number) for number in (*signals, *chores)}
    threads = Succession(name, signals, chores)
    yield threads
    threads.close()
    for number, handler in before.items():
        signal.signal(number, handler)

"""`--watch`: ask and show again and again, in place on a terminal, until q or Ctrl-C."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from pattoo_mp.cli.output import end_at_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Waits for some seconds, and returns the keys that were typed meanwhile; it returns at the first.
    Keys = Callable[[float], bytes]

T = TypeVar("T")

PERIOD_S: Final = 1.0
_QUIT: Final = b"q"


def watch(
    ask: Callable[[], T],
    show: Callable[[T], None],
    on_keys: Callable[[bytes], None] = lambda _: None,
) -> T:
    """Show what `ask` returns, once a second, until Ctrl-C or q; return the last answer.

    `on_keys` gets all other keys. The answer is shown again after them. An error of `ask` goes to
    the caller.
    """
    end_at_signals()  # SIGTERM must restore the terminal, too
    answer = ask()
    with suppress(KeyboardInterrupt), _keys() as typed:
        while True:
            until = time.monotonic() + PERIOD_S
            show(answer)
            while keys := typed(max(0.0, until - time.monotonic())):
                if _QUIT in keys.lower():
                    return answer
                on_keys(keys)
                show(answer)
            answer = ask()
    return answer


def is_capable_terminal() -> bool:
    """Whether stdout is a terminal that can do more than print line after line."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _keys() -> Iterator[Keys]:
    """Give a function that waits for keys.

    In the block the terminal passes on each key at once, and shows none. Without a terminal, or as a
    job in its background, which must not read from it, the function only waits.
    """
    keyboard = sys.stdin.fileno()
    if not _is_ours(keyboard):
        yield _wait
        return
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard, termios.TCSADRAIN)
    try:
        yield partial(_typed, keyboard)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _is_ours(keyboard: int) -> bool:
    """Whether the descriptor is a terminal from which this process may read."""
    try:
        return os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:
        return False


def _wait(seconds: float) -> bytes:
    time.sleep(seconds)
    return b""


def _typed(keyboard: int, seconds: float) -> bytes:
    if not select.select([keyboard], [], [], seconds)[0]:
        return b""
    return os.read(keyboard, 64) or _QUIT  # the end: the terminal is gone

"""Logging, set up in each process; docs/decisions/011-one-log-three-writers.md says why it is so.

    logging ─► Handler ─► Repeats ─┬─► LogFile    pattoo.log, as text or JSON lines
                                   └─► Stream     stderr, in the foreground

SIGUSR1 opens the file anew; SIGALRM writes what is due though nothing is logged. Both only wake
the loop of a process (`wakeup.py`), which then calls what `CHORES` names.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.log import line
from pattoo_mp.log.handler import WINDOWS_S, Handler, Repeats
from pattoo_mp.log.line import alike as alike
from pattoo_mp.log.line import local_time as local_time
from pattoo_mp.log.outlets import LogFile, Outlet, Stream
from pattoo_mp.log.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pattoo_mp.log.line import Format

_FORMATS: Final[Mapping[str, Callable[[str], Format]]] = {
    "text": line.text,
    "json": line.json_lines,
}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """All that a process must know of its log.

    `form` is text or json. At `max_bytes` (0: never) control rotates, and keeps `backups` older
    files. `repeats_s` are the times after which repetitions are told; at level debug nothing is
    collapsed.
    """

    file: Path
    level: str = "info"
    form: str = "text"
    max_bytes: int = 0
    backups: int = 1
    to_stderr: bool = False
    repeats_s: tuple[float, ...] = WINDOWS_S


def set_up(settings: LogSettings, process: str) -> None:
    """Send this process's log where `settings` say, also in the middle of its life.

    Where they are those that it goes by, the file is opened anew and nothing is forgotten. Never
    raises: a log that cannot be written must not end an agent.
    """
    kept = [handler for handler in _handlers() if handler.purpose == (settings, process)]
    if kept:
        reopen()
        return
    logging.raiseExceptions = False
    for number in CHORES:
        # A process that does not listen yet must not die of it.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
    root = logging.getLogger()
    former = root.handlers
    rotation = Rotation(settings.file, settings.max_bytes, settings.backups)
    # Who asks for everything gets everything.
    repeats = Repeats(() if settings.level == "debug" else settings.repeats_s)
    handler = Handler(_outlets(settings, process), repeats, rotation, (settings, process))
    for before in former:
        if isinstance(before, Handler):
            handler.take_over(before)
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for before in former:
        before.close()
    # The library's own lines say nothing that ours do not.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def check(settings: LogSettings) -> None:
    """Raise `OSError` if the log's file cannot be opened."""
    file = LogFile(settings.file, line.text(""))
    file.open()
    file.close()


def _outlets(settings: LogSettings, process: str) -> list[Outlet]:
    form = _FORMATS[settings.form](process)
    file = LogFile(settings.file, form)
    file.reopen()
    outlets: list[Outlet] = [file]
    if settings.to_stderr and sys.stderr is not None:
        descriptor = sys.stderr.fileno()
        to_journal = line.is_journal(descriptor)
        outlets.append(Stream(descriptor, line.journal(process) if to_journal else form))
    return outlets


def _handlers() -> list[Handler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Handler)]


def reopen() -> None:
    """Open the log's file anew: it was renamed."""
    for handler in _handlers():
        handler.reopen()


def rotate_if_due() -> bool:
    """Rotate the log's file if it is large enough; whether that was done.

    For one process alone, control. The others are to `reopen` what they have.
    """
    return any(handler.rotation.attempt() for handler in _handlers())


def tend() -> None:
    """Write what is due by now: how often lines came again, and how many were lost."""
    for handler in _handlers():
        handler.tend()


def tell_counts() -> None:
    """Write now how often lines came again: what they complained of is over."""
    for handler in _handlers():
        handler.tell_counts()


#: What each process does when one of these signals has woken it.
CHORES: Final[Mapping[signal.Signals, Callable[[], None]]] = {
    signal.SIGUSR1: reopen,
    signal.SIGALRM: tend,
}

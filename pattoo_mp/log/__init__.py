"""Set up logging in each process. docs/decisions/011-one-log-three-writers.md gives the reasons.

    logging ─► Handler ─► RepeatFilter ─┬─► LogFile    pattoo.log, as text or JSON lines
                                        └─► Stream     stderr, in the foreground

SIGUSR1 reopens the file. SIGALRM writes due lines when nothing else is logged. Both signals only
wake the loop of a process (`util/signals.py`), which then runs the action from `SIGNAL_ACTIONS`.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.log import line
from pattoo_mp.log.handler import WINDOWS_S, Handler, RepeatFilter
from pattoo_mp.log.line import grouped_as as grouped_as
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
    """The log settings of a process.

    `form` is text or json. Control rotates the file at `max_bytes` (0: never) and keeps `backups`
    older files. `repeats_s` are the windows after which repetitions are counted, in seconds; at
    level debug every line is written.
    """

    file: Path
    level: str = "info"
    form: str = "text"
    max_bytes: int = 0
    backups: int = 1
    to_stderr: bool = False
    repeats_s: tuple[float, ...] = WINDOWS_S


def set_up(settings: LogSettings, process: str) -> None:
    """Set up this process's log, or change its settings while it runs.

    With unchanged settings the file is only reopened, and repetitions stay counted. Never raises: a
    log that cannot be written must not end an agent.
    """
    if any(handler.key == (settings, process) for handler in _handlers()):
        reopen()
        return
    logging.raiseExceptions = False
    for number in SIGNAL_ACTIONS:
        # These signals must not end a process that has no loop yet.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
    root = logging.getLogger()
    former = root.handlers
    rotation = Rotation(settings.file, settings.max_bytes, settings.backups)
    repeats = RepeatFilter(() if settings.level == "debug" else settings.repeats_s)
    handler = Handler(_outlets(settings, process), repeats, rotation, (settings, process))
    for before in former:
        if isinstance(before, Handler):
            handler.take_over(before)
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for before in former:
        before.close()
    # Its lines only repeat what ours say.
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
    """Reopen the log's file after it was renamed."""
    for handler in _handlers():
        handler.reopen()


def rotate_if_due() -> bool:
    """Rotate the log's file if it is large enough; return whether it was rotated.

    Only control calls this. The other processes then `reopen` the file.
    """
    return any(handler.rotation.attempt() for handler in _handlers())


def write_due() -> None:
    """Write the counts of repeated lines and lost lines that are due."""
    for handler in _handlers():
        handler.write_due()


def write_counts() -> None:
    """Write all counts of repeated lines now, for example because the trouble is over."""
    for handler in _handlers():
        handler.write_counts()


#: What the loop of each process does after one of these signals.
SIGNAL_ACTIONS: Final[Mapping[signal.Signals, Callable[[], None]]] = {
    signal.SIGUSR1: reopen,
    signal.SIGALRM: write_due,
}

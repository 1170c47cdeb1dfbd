"""How a line of the log is written: as text, as JSON, and as journald wants it.

docs/logs.md describes the fields of an object.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from pattoo_mp.log.line import Line

#: Gives a line, and its traceback, with a line end.
Format = Callable[["Line"], str]

#: From <syslog.h>; sd-daemon(3) says how they go before a line.
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY: Final = 7


def local_time(moment: float) -> str:
    """Seconds since the epoch as a time of day, as everywhere in the log."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(moment))},{_ms(moment)}"


def text(process: str) -> Format:
    """As a person reads it: local time, level, who, what."""
    who = f"[{process} {os.getpid()}]"

    def write(line: Line) -> str:
        level = logging.getLevelName(line.level)
        return f"{local_time(line.created)} {level} {who} {_with_traceback(line)}\n"

    return write


def json_lines(process: str) -> Format:
    """As a program reads it: an object with the fields above."""
    pid = os.getpid()

    def write(line: Line) -> str:
        fields: dict[str, object] = {
            "time": _utc(line.created),
            "level": logging.getLevelName(line.level).lower(),
            "program": PROGRAM,
            "process": process,
            "pid": pid,
            "logger": line.logger,
            "message": line.text,
        }
        if line.traceback:
            fields["traceback"] = line.traceback
        if line.repeated:
            fields |= {
                "repeated": line.repeated,
                "within_s": line.within_s,
                "last": _utc(line.last),
            }
        return json.dumps(fields, ensure_ascii=False) + "\n"

    return write


def journal(process: str) -> Format:
    """As journald takes it from a program's stderr: it has a time of its own, and levels."""
    who = f"[{process} {os.getpid()}]"

    def write(line: Line) -> str:
        priority = next((p for level, p in _PRIORITIES if line.level >= level), _DEBUG_PRIORITY)
        rows = f"{who} {_with_traceback(line)}".splitlines()
        return "".join(f"<{priority}>{row}\n" for row in rows)

    return write


def is_journal(descriptor: int) -> bool:
    """Whether a descriptor leads to journald: systemd.exec(5), `$JOURNAL_STREAM`."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_traceback(line: Line) -> str:
    return f"{line.message}\n{line.traceback}" if line.traceback else line.message


def _utc(moment: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment))}.{_ms(moment)}Z"


def _ms(moment: float) -> str:
    return f"{int(moment * 1000) % 1000:03d}"

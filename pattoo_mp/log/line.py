"""A line of the log: all that is kept of a logging record, as text of bounded size."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pattoo_mp.model import PROGRAM
from pattoo_mp.util.text import counted, printable

_LONG_AGO_S: Final = 2.0
_LONGEST_TEXT: Final = 8_000
_LONGEST_TRACEBACK: Final = 32_000
_TRACEBACKS: Final = logging.Formatter()


_KIND: Final = "kind_of_line"


def alike(kind: str) -> dict[str, str]:
    """The `extra` of a logging call whose lines count as the same if their `kind` is.

    For lines that differ in figures which do not matter each time: the last one stands for all.
    """
    return {_KIND: kind}


@dataclass(frozen=True, slots=True)
class Line:
    """`text` is one line, printable; `created` is in seconds since the epoch.

    `repeated` is how often the same came again within the last `within_s` seconds, and `last` when
    the last of them came; 0 for a line that stands for itself. `kind` is what makes two lines the same.
    """

    created: float
    level: int
    logger: str
    text: str
    kind: str
    traceback: str = ""
    repeated: int = 0
    within_s: int = 0
    last: float = 0.0

    @classmethod
    def of(cls, record: logging.LogRecord) -> Line:
        """What a record says."""
        text = _shortened(printable(_message(record)))
        return cls(
            created=record.created,
            level=record.levelno,
            logger=record.name,
            text=text,
            kind=getattr(record, _KIND, text),
            traceback=_traceback(record),
        )

    @property
    def message(self) -> str:
        """The text, and how often it came again."""
        if not self.repeated:
            return self.text
        what = "the same" if self.kind == self.text else "the like"
        times = "once" if self.repeated == 1 else counted(self.repeated, "time")
        told = f"{what} {times} in the last {_span(self.within_s)}"
        if self.created - self.last >= _LONG_AGO_S:
            # It may be over by now, and its figures are those of that moment.
            told += f", at {time.strftime('%H:%M:%S', time.localtime(self.last))} last"
        return f"{self.text} ({told})"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a slip in the call, or an argument that cannot be shown
        return f"{record.msg} (and what belongs into it cannot be shown)"


def _shortened(text: str) -> str:
    more = len(text) - _LONGEST_TEXT
    return text if more <= 0 else f"{text[:_LONGEST_TEXT]}… ({more} characters more)"


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    text = _TRACEBACKS.formatException(record.exc_info)
    # Its end says what happened.
    return text[-_LONGEST_TRACEBACK:].encode("utf-8", "backslashreplace").decode()


def _span(seconds: int) -> str:
    for unit_s, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        count = round(seconds / unit_s)
        if seconds >= unit_s or unit_s == 1:
            return unit if count == 1 else counted(count, unit)
    raise AssertionError


# How a line of the log is written: as text, as JSON, and as journald wants it.
#
# docs/logs.md describes the fields of an object.

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

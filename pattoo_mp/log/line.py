"""A line of the log, and its formats: text, JSON and journald.

A line is what is kept of a logging record: text of bounded size. docs/logs.md describes the fields
of a JSON object.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pattoo_mp.program import this_program
from pattoo_mp.util.text import counted, printable

_RECENT_S: Final = 2.0
_LONGEST_TEXT: Final = 8_000
_LONGEST_TRACEBACK: Final = 32_000
_TRACEBACKS: Final = logging.Formatter()

_KIND: Final = "kind_of_line"

#: From <syslog.h>; sd-daemon(3) describes the prefix of a line.
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY: Final = 7


def grouped_as(kind: str) -> dict[str, str]:
    """Return the `extra` of a logging call whose lines are repetitions if their `kind` is equal.

    For lines that differ only in unimportant figures. The last of them is shown for all.
    """
    return {_KIND: kind}


@dataclass(frozen=True, slots=True)
class Line:
    """A log line. `text` is one printable line. Times are in seconds since the epoch.

    A line with a count stands for the `repeated` repetitions in the last `within_s` seconds; the
    newest was logged at `last`. All three are 0 in other lines. Lines of the same `kind` are
    repetitions.
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
        """Return the line for a logging record."""
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
        """The text, with the number of repetitions if there are any."""
        if not self.repeated:
            return self.text
        what = "repeated" if self.kind == self.text else "repeated with other figures"
        times = "once" if self.repeated == 1 else counted(self.repeated, "time")
        count = f"{what} {times} in the last {_span(self.within_s)}"
        if self.created - self.last >= _RECENT_S:
            # It may be over by now, and the figures are from that time.
            count += f", last at {time.strftime('%H:%M:%S', time.localtime(self.last))}"
        return f"{self.text} ({count})"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - wrong arguments, or one whose __str__ fails
        return f"{record.msg} (its arguments cannot be formatted)"


def _shortened(text: str) -> str:
    more = len(text) - _LONGEST_TEXT
    return text if more <= 0 else f"{text[:_LONGEST_TEXT]}… ({more} characters more)"


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    text = _TRACEBACKS.formatException(record.exc_info)
    if len(text) > _LONGEST_TRACEBACK:
        # Its end says what happened. It begins with a whole line, so that no half of a secret is in it.
        cut = text[-_LONGEST_TRACEBACK:]
        text = cut.partition("\n")[2] or cut
    return text.encode("utf-8", "backslashreplace").decode()


def _span(seconds: int) -> str:
    for unit_s, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        count = round(seconds / unit_s)
        if seconds >= unit_s or unit_s == 1:
            return unit if count == 1 else counted(count, unit)
    raise AssertionError


# --- formats

#: Returns a line and its traceback as text that ends with a line end.
Format = Callable[["Line"], str]


def local_time(moment: float) -> str:
    """Return seconds since the epoch as local date and time, in the log's format."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(moment))},{_ms(moment)}"


def text(process: str) -> Format:
    """Return the format for people: local time, level, process, message."""
    who = f"[{process} {os.getpid()}]"

    def write(line: Line) -> str:
        level = logging.getLevelName(line.level)
        return f"{local_time(line.created)} {level} {who} {_with_traceback(line)}\n"

    return write


def json_lines(process: str) -> Format:
    """Return the format for programs: a JSON object on each line."""
    pid = os.getpid()

    def write(line: Line) -> str:
        fields: dict[str, object] = {
            "time": _utc(line.created),
            "level": logging.getLevelName(line.level).lower(),
            "program": this_program().name,
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
    """Return the format for journald on stderr: priorities, and no time, since journald adds it."""
    who = f"[{process} {os.getpid()}]"

    def write(line: Line) -> str:
        priority = next((p for level, p in _PRIORITIES if line.level >= level), _DEBUG_PRIORITY)
        rows = f"{who} {_with_traceback(line)}".splitlines()
        return "".join(f"<{priority}>{row}\n" for row in rows)

    return write


def is_journal(descriptor: int) -> bool:
    """Whether a descriptor leads to journald: see `$JOURNAL_STREAM` in systemd.exec(5)."""
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

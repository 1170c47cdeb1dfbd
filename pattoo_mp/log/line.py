"""A line of the log: all that is kept of a logging record, as text of bounded size."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

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

"""Logging, set up once in each process."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import private

if TYPE_CHECKING:
    from io import TextIOWrapper

_FORMAT: Final = "%(asctime)s %(levelname)s [%(processName)s %(process)d] %(message)s"


class _LogFile(logging.handlers.WatchedFileHandler):
    """Appends to the log, unless somebody laid a link in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or give it up: the inherited one raises where the file cannot be reopened."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def _open(self) -> TextIOWrapper:
        descriptor = private.open_file(
            Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND
        )
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123 - a descriptor


def set_up(file: Path, level: str, process: str, *, to_stderr: bool) -> None:
    """Send this process's log to `file`, opened anew when a rotation moved it away.

    All processes of the agent append whole lines to the one file. What cannot be written is
    given up without a word: a full disk must not end an agent.
    """
    logging.raiseExceptions = False
    handlers: list[logging.Handler] = [_LogFile(file, encoding="utf-8", errors="backslashreplace")]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT.replace("%(processName)s", process)))
        root.addHandler(handler)
    root.setLevel(level.upper())
    # The library's own lines say nothing that ours do not.
    logging.getLogger("urllib3").setLevel(logging.ERROR)

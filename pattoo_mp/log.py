"""Logging, set up once in each process."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT: Final = "%(asctime)s %(levelname)s [%(processName)s %(process)d] %(message)s"


def set_up(file: Path, level: str, process: str, *, to_stderr: bool) -> None:
    """Send this process's log to `file`, opened anew when a rotation moved it away.

    All processes of the agent append whole lines to the one file. What cannot be written is
    given up without a word: a full disk must not end an agent.
    """
    logging.raiseExceptions = False
    handlers: list[logging.Handler] = [
        logging.handlers.WatchedFileHandler(file, encoding="utf-8", errors="backslashreplace")
    ]
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

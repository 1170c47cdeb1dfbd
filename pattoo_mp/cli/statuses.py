"""Exit statuses of the command line."""

from __future__ import annotations

from typing import Final

#: Done, or running and well.
DONE: Final = 0
#: Could not be done; or running, but not well (`--status`).
FAILED: Final = 1
#: Bad usage or bad configuration.
BAD_USAGE: Final = 2
#: Stopped (`--status`, `--reload`; the Linux Standard Base's number for it).
STOPPED: Final = 3

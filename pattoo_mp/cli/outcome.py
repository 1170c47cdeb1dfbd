"""How a verb has ended: an exit status, and a line for whatever a person can mend."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from pattoo_mp.cli.statuses import BAD_USAGE, DONE, FAILED
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome(do: Callable[[], int]) -> int:
    """Do it; return the exit status."""
    try:
        return do()
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return BAD_USAGE
    except PattooError as error:
        _complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def printed(do: Callable[[], int]) -> int:
    """Do what prints to stdout; return the exit status, also where that cannot be printed."""
    try:
        try:
            return do()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Who read us went away, as `head` does.
        _close_output()
        return DONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _complain("the output: no space left on its device; expected room for what is printed")
        _close_output()
        return FAILED


def _close_output() -> None:
    """Let go of what could not be written. Python would complain once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(problem: str) -> None:
    print(f"{PROGRAM}: error: {problem}", file=sys.stderr)

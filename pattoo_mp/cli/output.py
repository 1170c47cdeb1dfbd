"""Exit statuses of the command line."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence


#: Done, or running and well.
DONE: Final = 0
#: Could not be done; or running, but not well (`--status`).
FAILED: Final = 1
#: Bad usage or bad configuration.
BAD_USAGE: Final = 2
#: Stopped (`--status`, `--reload`; the Linux Standard Base's number for it).
STOPPED: Final = 3


# How a verb has ended: an exit status, and a line for whatever a person can mend.


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


# What a terminal, or whoever else reads what is printed, can show.


def show_any_letter() -> None:
    """A name on this host may hold letters that the terminal's encoding has not: show their numbers."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


# For programs: a document also where there is nothing to say but what is wrong.


@contextmanager
def told_in_json(
    arguments: argparse.Namespace, document: Callable[[Sequence[str]], dict[str, Any]]
) -> Iterator[None]:
    """With `--json`, print the `document` of an error's lines; the error then goes its usual way.

    Put around what comes before a verb's own document: a program wants one, or one a line.
    """
    try:
        yield
    except PattooError as error:
        if arguments.json:
            indent = None if arguments.watch else 2
            print(json.dumps(document(str(error).split("\n")), indent=indent), flush=True)
        raise

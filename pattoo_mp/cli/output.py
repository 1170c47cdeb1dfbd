"""What all verbs share: exit statuses, error messages, and handling of a stdout that fails."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.program import this_program
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence


# The manual quotes the comment above each status.

#: Success; with `--status`: the agent is running, without troubles.
DONE: Final = 0
#: The command failed; with `--status`: the agent is running, but reports troubles.
FAILED: Final = 1
#: Bad usage or bad configuration.
BAD_USAGE: Final = 2
#: The agent is stopped (`--status`, `--reload`; the number is that of the Linux Standard Base).
STOPPED: Final = 3

#: Why stdout takes no more: a full disk, a quota, a limit on the size of files, a closed terminal.
_OUTPUT_ERRORS: Final = {
    errno.ENOSPC: "no space left on its device; expected room for the output",
    errno.EDQUOT: "the quota of its file system is used up; expected room for the output",
    errno.EFBIG: "its file may not grow (ulimit -f); expected room for the output",
    errno.EIO: "its device fails; expected one that takes the output",
}

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def report_errors(run: Callable[[], int]) -> int:
    """Call `run` and return its exit status; print errors to stderr, one line for each problem."""
    try:
        return run()
    except ConfigError as error:
        for problem in error.problems:
            _print_error(problem)
        return BAD_USAGE
    except PattooError as error:
        _print_error(str(error))
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def handle_output_errors(run: Callable[[], int]) -> int:
    """Call `run`, which prints to stdout, and return its exit status.

    A reader that closed the pipe early is no error; a full disk and the like are, reported in one line.
    """
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does.
        _discard_output()
        return DONE
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS:
            raise
        _print_error(f"stdout: {_OUTPUT_ERRORS[error.errno]}")
        _discard_output()
        return FAILED


def end_at_signals() -> None:
    """Let SIGINT and SIGTERM raise `KeyboardInterrupt`, once: more may come on the way out, as from `timeout`.

    SIGINT too, which is ignored in a background job of a script.
    """
    for number in _ENDING:
        signal.signal(number, _end)


def _end(*_: object) -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _discard_output() -> None:
    """Send what is still buffered to /dev/null, or Python would report the error again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(problem: str) -> None:
    """Print one line. It may quote the agent, whose user must not control root's terminal."""
    print(f"{this_program().name}: error: {printable(problem)}", file=sys.stderr)


def escape_unencodable() -> None:
    """Print characters that stdout's encoding lacks as escapes; names on a host may contain any."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def errors_as_json(
    arguments: argparse.Namespace, document: Callable[[Sequence[str]], dict[str, Any]]
) -> Iterator[None]:
    """With `--json`, print a JSON document for errors, too; the error is then raised as usual.

    `document` makes it from the error's lines. It is printed on one line with `--watch`, as each
    document is then. Use this around the code that runs before a verb prints its own document.
    """
    try:
        yield
    except PattooError as error:
        if arguments.json:
            indent = None if arguments.watch else 2
            print(json.dumps(document(str(error).split("\n")), indent=indent), flush=True)
        raise

"""`--logs`: show the last records of the log, and with `--follow` what is added to it."""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pattoo_mp.cli.output import DONE, end_at_signals, escape_unencodable
from pattoo_mp.config import isolated
from pattoo_mp.errors import PattooError
from pattoo_mp.log.reading import SEARCHED_BYTES, LogReader
from pattoo_mp.paths import config_directory
from pattoo_mp.program import this_program
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util import users
from pattoo_mp.util.files import reason
from pattoo_mp.util.text import size

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_RECORDS: Final = 100
#: How often a log is looked at that has nothing new.
_LOOK_MS: Final = 250
#: More than reading takes, also of a slow disk.
_READ_S: Final = 10.0

_Step = Callable[[], list[str]]


def run(arguments: argparse.Namespace) -> int:
    """`--logs`: print the last records, then those that are added until Ctrl-C or a closed pipe."""
    escape_unencodable()
    least = logging.getLevelNamesMapping()[(arguments.level or "notset").upper()]
    path = _log_file()
    log = LogReader(path, least)
    limited: TimeLimited[_Step, list[str]] = TimeLimited("log", lambda step: step(), _READ_S)

    def begin() -> list[str]:
        log.begin(_RECORDS if arguments.lines is None else arguments.lines)
        return []

    if arguments.follow:
        end_at_signals()
    try:
        with suppress(KeyboardInterrupt):
            try:
                limited.ask_one(begin)
            except FileNotFoundError:
                if not arguments.follow:
                    raise
                _say(f"{path} does not exist yet; waiting for it")
            if log.is_cut:
                _say(f"only the last {size(SEARCHED_BYTES)} of the log were searched")
            is_shown = _print(limited, log, follows=arguments.follow)
            if not is_shown and not arguments.follow and arguments.lines != 0:
                _say_that_there_are_none(path, arguments.level)
    except OSError as error:
        raise _problem(error, path) from error
    return DONE


def _print(limited: TimeLimited[_Step, list[str]], log: LogReader, *, follows: bool) -> bool:
    """Print what there is, and with `follows` what is added; return whether there was anything."""
    is_shown = False
    while True:
        lines = limited.ask_one(log.read)
        is_shown |= bool(lines)
        if lines:
            print("\n".join(lines), flush=True)
        elif log.is_at_end and not follows:
            break
        elif log.is_at_end and _is_closed():
            return is_shown
    if lines := limited.ask_one(log.finish):
        print("\n".join(lines))
    return is_shown or bool(lines)


def _say_that_there_are_none(path: Path, level: str | None) -> None:
    """To a person: who sees nothing wonders. A script, such as a job of cron, gets nothing for nothing."""
    if sys.stdout.isatty():
        _say(f"{path} has no records" + (f" of level {level} or a higher one" if level else ""))


def _is_closed() -> bool:
    """Wait a moment; return whether who reads our output has ended."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # the kernel adds POLLERR and POLLHUP
    return bool(poll.poll(_LOOK_MS))


def _log_file() -> Path:
    """Return the path of the log. Run by root, become the agent's user, who may read no more than it may."""
    directory = config_directory()
    path = isolated.read_log_directory(directory) / this_program().log_name
    if os.geteuid() == 0 and (owner := isolated.find_owner(directory)):
        users.become(owner[0], users.groups_of(*owner))
    return path


def _problem(error: OSError, path: Path) -> PattooError | OSError:
    """What is wrong with the log in one line; an error of stdout as it is."""
    if isinstance(error, NoAnswerError):
        return PattooError(f"{path}: {error}; expected a file that can be read")
    if not error.filename:
        return error
    expected = "a regular file that this user can read"
    if error.errno == errno.ENOENT:
        expected = "the log of an agent that has run with this configuration"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        expected = "the agent's user or root"
    return PattooError(f"{path}: {reason(error, path)}; expected {expected}")


def _say(what: str) -> None:
    """Tell on stderr what is not of the log."""
    print(f"{this_program().name}: {what}", file=sys.stderr, flush=True)

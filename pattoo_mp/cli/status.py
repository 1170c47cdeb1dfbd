"""Asking for the status, whatever there is to ask; and what it is worth as an exit status."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, FAILED, STOPPED, show_any_letter, told_in_json
from pattoo_mp.cli.status_rows import heading, rows, waiting
from pattoo_mp.cli.words import moment
from pattoo_mp.control.status import SCHEMA, silent, stopped, unknown
from pattoo_mp.errors import PattooError
from pattoo_mp.operate.agent import agent
from pattoo_mp.util.files import not_ours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pattoo_mp.cli.status_rows import Status
    from pattoo_mp.operate.agent import Agent


#: Control holds its lock a little longer than it listens, before and after.
_MOMENT_S: Final = 1.0
_LOOK_S: Final = 0.02


def ask(agent: Agent) -> dict[str, Any]:
    """The status of an agent that runs, is silent, or is stopped.

    Raises `PattooError` if we may not ask, or if the answer is another release's.
    """
    until = time.monotonic() + _MOMENT_S
    pid = agent.pid
    while pid is not None:
        try:
            return _understood(agent.status(), pid)
        except PermissionError as error:
            raise PattooError(
                f"process {pid}: we may not ask it{not_ours(pid)}; expected its user or root"
            ) from error
        except OSError:
            # After a time-out this was the only attempt; else it may be about to begin, or to end.
            if time.monotonic() >= until:
                return silent(pid)
        time.sleep(_LOOK_S)
        pid = agent.pid
    return not_running(agent)


def not_running(agent: Agent) -> dict[str, Any]:
    """The status of an agent that is known not to run."""
    return stopped(agent.pid_file, agent.configuration, agent.cut_short)


def exit_status(status: dict[str, Any]) -> int:
    """What a monitoring system wants to know."""
    if status["state"] == "stopped":
        return STOPPED
    return FAILED if status["troubles"] else DONE


def _understood(status: dict[str, Any], pid: int) -> dict[str, Any]:
    if status.get("schema") != SCHEMA:
        raise PattooError(
            f"process {pid}: answers with schema {status.get('schema')}; expected {SCHEMA}, "
            "which --restart brings"
        )
    return status


# `--watch`: the status again and again, until Ctrl-C; an agent that ends may be back in a moment.

_PERIOD_S: Final = 1.0


def watch(agent: Agent, show: Show) -> int:
    """Ask and show once a second; the exit status is that of the last answer.

    Raises as `ask` does.
    """
    # Who is asked to end leaves the terminal as it was; a script in the background has SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    status = ask(agent)
    with suppress(KeyboardInterrupt):
        while True:
            show(status)
            time.sleep(_PERIOD_S)
            status = ask(agent)
    return exit_status(status)


# The status as plain text: for a pipe, a file, or a terminal that can do no more.

_LABEL_WIDTH: Final = 15


def report(status: Status) -> str:
    """All of it, in lines."""
    lines = [f"  {row.label:<{_LABEL_WIDTH}}{row.text}" for row in rows(status)]
    return "\n".join([heading(status), *lines])


def line(status: Status) -> str:
    """The most important of it, in one line."""
    if status["state"] == "stopped":
        return f"{heading(status)}, cut short" if status["cut_short_pid"] else heading(status)
    if status["state"] == "silent":
        return f"{heading(status)}, silent"
    polls = status["polls"]
    codes = ", ".join(
        " ".join(filter(None, (str(trouble["code"]), str(trouble["subject"]))))
        for trouble in status["troubles"]
    )
    return (
        f"{moment(status['now_ms'])}  {codes or 'well'}; {polls['polled']} polled, "
        f"{polls['delivered']} delivered, waiting: {waiting(status)}"
    )


# In which form a status is shown: as JSON, as plain text, or laid out on a terminal.
#
# Only a terminal needs the library that lays it out, so only then is it imported: a monitoring system
# that asks every minute should not pay for it.

Show = Callable[[dict[str, Any]], None]


def once(*, as_json: bool) -> Show:
    """What shows one answer."""
    if as_json:
        return lambda status: print(json.dumps(status, indent=2))
    if _is_able_terminal():
        return _print_laid_out
    return lambda status: print(report(status))


@contextmanager
def again_and_again(*, as_json: bool) -> Iterator[Show]:
    """What shows one answer after the other: in place on a terminal, else a line for each."""
    if as_json:
        yield lambda status: print(json.dumps(status), flush=True)
    elif _is_able_terminal():
        from pattoo_mp.cli.status_screen import Screen  # noqa: PLC0415

        with Screen() as screen:
            yield screen.show
    else:
        yield lambda status: print(line(status), flush=True)


def _print_laid_out(status: dict[str, Any]) -> None:
    from pattoo_mp.cli.status_screen import print_report  # noqa: PLC0415

    print_report(status)


def _is_able_terminal() -> bool:
    """Whether this is a terminal that can do more than to print one line after the other."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


# `--status`, with `--json` and `--watch`.


def run(arguments: argparse.Namespace) -> int:
    """Ask the agent and show what it says; the exit status tells whether it is well."""
    show_any_letter()
    with told_in_json(arguments, unknown):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    asked = agent()
    if arguments.watch:
        with again_and_again(as_json=arguments.json) as show:
            return watch(asked, show)
    status = ask(asked)
    once(as_json=arguments.json)(status)
    return exit_status(status)

"""`--status`: ask the agent for its status and show it, once or with `--watch` every second.

It is shown as JSON, as plain text, or as a table on a terminal. The exit status says whether the
agent is well.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, FAILED, STOPPED, errors_as_json, escape_unencodable
from pattoo_mp.cli.status_rows import heading, output_names, rows, waiting
from pattoo_mp.cli.watching import is_capable_terminal, watch
from pattoo_mp.cli.words import moment
from pattoo_mp.control.outputs import of_output
from pattoo_mp.control.run_directory import holder
from pattoo_mp.control.status import silent, stopped, unknown
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.operate.agent import configured_agent
from pattoo_mp.util.files import process_owner
from pattoo_mp.util.text import either, printable
from pattoo_mp.util.usage import nearest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pattoo_mp.cli.status_rows import Status
    from pattoo_mp.operate.agent import Agent

#: Shows one status.
Display = Callable[[dict[str, Any]], None]

#: How long control may hold its lock without listening, before and after its run.
_NOT_LISTENING_S: Final = 1.0
_RETRY_S: Final = 0.02
_LABEL_WIDTH: Final = 15
_WORD: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.:@/-]*")


def run(arguments: argparse.Namespace) -> int:
    """`--status`: show the agent's status; return whether it is well, as an exit status."""
    escape_unencodable()
    with errors_as_json(arguments, unknown):
        agent = configured_agent()

        def fetch() -> Status:
            return _chosen(fetch_status(agent), arguments.output)

        if arguments.watch:
            # It goes on while the agent is stopped, which may be a restart.
            with _watch_display(as_json=arguments.json) as show:
                return exit_status(watch(fetch, show))
        status = fetch()
        _display(as_json=arguments.json)(status)
        return exit_status(status)


def run_output_names(_: argparse.Namespace) -> int:
    """`--output-names`: print what may follow `--output`, for completion; nothing if no agent says it.

    A shell gets it, so a name that it could take for more than a word is left out.
    """
    with suppress(PattooError, OSError):
        agent = configured_agent()
        names = [] if agent.pid is None else _output_names(agent.status())
        print("".join(f"{name}\n" for name in names if _WORD.fullmatch(name)), end="")
    return DONE


def _output_names(status: Status) -> list[str]:
    return [output["name"] for output in status.get("outputs", [])]


def _chosen(status: Status, name: str | None) -> Status:
    """Return the status as that of an agent with only the output of this name; unchanged without one.

    An agent that does not run has no outputs to choose from. Raises `ConfigError` for an unknown name.
    """
    if name is None or status["state"] != "running":
        return status
    names = _output_names(status)
    if name not in names:
        meant = nearest(name, names)
        guess = f"did you mean {meant}? " if meant else ""
        raise ConfigError([f"--output {name}: no such output; {guess}expected {either(names)}"])
    return {
        **of_output(status, name),
        "outputs": [output for output in status["outputs"] if output["name"] == name],
        "troubles": [each for each in status["troubles"] if each.get("output", name) == name],
    }


def exit_status(status: dict[str, Any]) -> int:
    """The exit status for monitoring systems: well, in trouble, or stopped."""
    if status["state"] == "stopped":
        return STOPPED
    return FAILED if status["troubles"] else DONE


# Asking the agent.


def fetch_status(agent: Agent) -> dict[str, Any]:
    """Return the status of `agent`; it may be running, silent or stopped.

    Raises `PattooError` if we may not ask it, or if the answer is no status of this release.
    """
    until = time.monotonic() + _NOT_LISTENING_S
    pid = agent.pid
    while pid is not None:
        try:
            return agent.status()
        except PermissionError as error:
            raise PattooError(
                f"{holder(pid)}: no permission to ask for its status{process_owner(pid)}; "
                "expected its user or root"
            ) from error
        except OSError:
            # A time-out alone takes longer than this. Otherwise it may be starting, or ending.
            if time.monotonic() >= until:
                return silent(pid)
        time.sleep(_RETRY_S)
        pid = agent.pid
    return stopped_status(agent)


def stopped_status(agent: Agent) -> dict[str, Any]:
    """The status of an agent that is known not to run."""
    return stopped(agent.pid_file, agent.configuration, agent.cut_short)


# Plain text, for a pipe, a file or a simple terminal.


def as_text(status: Status) -> str:
    """The whole status, a line for each row."""
    lines = [
        f"{row.label + ' ':<{_LABEL_WIDTH}}{row.text}" if row.label else row.text
        for row in rows(status)
    ]
    return "\n".join([heading(status), *(f"  {line}" for line in lines)])


def as_line(status: Status) -> str:
    """The most important parts of the status, in one line."""
    if status["state"] == "stopped":
        return f"{heading(status)}, cut short" if status["cut_short_pid"] else heading(status)
    if status["state"] == "silent":
        return f"{heading(status)}, does not answer"
    codes = ", ".join(
        " ".join(
            filter(None, map(str, (trouble["code"], trouble["subject"], trouble.get("output", ""))))
        )
        for trouble in status["troubles"]
    )
    return printable(
        f"{moment(status['now_ms'])}  {codes or 'well'}; {status['polls']['polled']} polled"
        f"{_delivered(status)}"
    )


def _delivered(status: Status) -> str:
    """The end of the line: what each output has, and what waits for it."""
    names = output_names(status)
    if not names:
        return f", {status['polls']['delivered']} delivered, waiting: {waiting(status)}"
    each = {name: of_output(status, name) for name in names}
    return "".join(
        f"; {name}: {own['polls']['delivered']} delivered, waiting: {waiting(own)}"
        for name, own in each.items()
    )


# Choosing how to show it. The library that draws tables is imported only for a terminal, so a
# monitoring system that asks every minute does not pay for it.


def _display(*, as_json: bool) -> Display:
    """How to show one status."""
    if as_json:
        return lambda status: print(json.dumps(status, indent=2))
    if is_capable_terminal():
        return _print_table
    return lambda status: print(as_text(status))


@contextmanager
def _watch_display(*, as_json: bool) -> Iterator[Display]:
    """How to show status after status: in place on a terminal, else a line each."""
    if as_json:
        yield lambda status: print(json.dumps(status), flush=True)
    elif is_capable_terminal():
        from pattoo_mp.cli.status_screen import Screen  # noqa: PLC0415

        with Screen() as screen:
            yield screen.show
    else:
        yield lambda status: print(as_line(status), flush=True)


def _print_table(status: dict[str, Any]) -> None:
    from pattoo_mp.cli.status_screen import print_report  # noqa: PLC0415

    print_report(status)

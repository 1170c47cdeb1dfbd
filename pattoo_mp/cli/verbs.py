"""The command line's verbs and options, their help texts, and the parser."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import handle_output_errors, report_errors
from pattoo_mp.config.settings import program_files
from pattoo_mp.log.reading import LEVELS
from pattoo_mp.program import this_program
from pattoo_mp.util.usage import OneLineParser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Verb:
    """A command. `target` names the function that runs it, as `module:function` in this package.

    The module is imported only when its verb is used: `--foreground` becomes the control process,
    which must stay small.
    """

    name: str
    help: str
    target: str

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command; return the exit status."""
        module, _, function = self.target.partition(":")
        status: int = getattr(import_module(f"pattoo_mp.cli.{module}"), function)(arguments)
        return status


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the verbs in `goes_with`: a flag, or with `choices` one of these.

    With `value` it takes a value that this function makes of the word; `metavar` is its name in the help.
    `help` must name these verbs: `--help` shows nothing else about them.
    """

    name: str
    help: str
    goes_with: tuple[str, ...]
    choices: Callable[[], tuple[str, ...]] | None = None
    value: Callable[[str], object] | None = None
    metavar: str = ""


def _records(given: str) -> int:
    """The value of `--lines`."""
    if given.isascii() and given.isdecimal() and len(given) < 8 and int(given) <= _MOST_RECORDS:
        return int(given)
    raise argparse.ArgumentTypeError(f"{given}; expected a whole number from 0 to {_MOST_RECORDS}")


_MOST_RECORDS: Final = 1_000_000

_EVERY: Final = (
    Verb("--start", "Start the agent daemon.", "lifecycle:run_start"),
    Verb("--stop", "Stop the agent daemon.", "lifecycle:run_stop"),
    Verb("--status", "Get daemon status.", "status:run"),
    Verb("--restart", "Restart the agent daemon.", "lifecycle:run_restart"),
    Verb(
        "--reload",
        "Apply the changed configuration to the running agent daemon, without losing a poll. "
        "Exits with status 2 if the daemon refuses it, with 3 if the daemon is stopped.",
        "lifecycle:run_reload",
    ),
    Verb(
        "--once",
        "Poll this host once and show the values. Sends nothing; needs no configuration.",
        "once:run",
    ),
    Verb(
        "--translations",
        "Print the key translations (CSV) for import into a pattoo server.",
        "print_files:run_translations",
    ),
    Verb(
        "--foreground",
        "Run the agent in the foreground, for supervisord and systemd.",
        "foreground:run",
    ),
    Verb(
        "--check",
        "Check the configuration, show where each setting comes from, and test whether the servers "
        "respond. Changes nothing.",
        "check:run",
    ),
    Verb(
        "--doctor",
        "Check everything on this host that the agent needs, and say how to fix what is wrong. "
        "Changes nothing.",
        "doctor:run",
    ),
    Verb(
        "--logs",
        "Show the end of the agent's log, of all its processes. Changes nothing.",
        "logs:run",
    ),
    Verb(
        "--support",
        "Write an archive for whoever helps: versions, the checked configuration, status, doctor, the last "
        "log and sizes, without secrets. Shows what is in it, and asks, before it is written.",
        "support:run",
    ),
    Verb(
        "--sample-config",
        "Print a commented sample configuration.",
        "print_files:run_sample_config",
    ),
    Verb(
        "--event-listener",
        "Restart the agent when it hangs. Only for supervisord, as its event listener.",
        "event_listener:run",
    ),
)

OPTIONS: Final = (
    Option(
        "--force",
        "Stops or restarts the agent daemon ungracefully when used with --stop or --restart.",
        ("--stop", "--restart"),
    ),
    Option(
        "--file",
        "Prints only this file, ready to use, when used with --sample-config.",
        ("--sample-config",),
        program_files,
    ),
    Option("--all", "Shows the families that are off, too, when used with --once.", ("--once",)),
    Option(
        "--json",
        "Prints JSON when used with --check, --once, --doctor or --status.",
        ("--check", "--once", "--doctor", "--status"),
    ),
    Option(
        "--watch",
        "Refreshes every second, until q or Ctrl-C, when used with --once or --status.",
        ("--once", "--status"),
    ),
    Option(
        "--follow",
        "Goes on with what is added, until Ctrl-C, when used with --logs.",
        ("--logs",),
    ),
    Option(
        "--level",
        "Shows only what has this level or a higher one, when used with --logs.",
        ("--logs",),
        lambda: LEVELS,
    ),
    Option(
        "--lines",
        "Shows so many records (100 without it), when used with --logs. A traceback belongs to its record.",
        ("--logs",),
        value=_records,
        metavar="N",
    ),
    Option(
        "--to",
        "Names the archive, or the directory for it, when used with --support.",
        ("--support",),
        value=str,
        metavar="PATH",
    ),
    Option("--yes", "Does not ask, when used with --support.", ("--support",)),
)


#: Of programs that poll their host.
_OF_FAMILIES: Final = frozenset({"--once", "--translations"})


def program_verbs() -> tuple[Verb, ...]:
    """The verbs of this program."""
    polls_host = this_program().polls_host
    return tuple(verb for verb in _EVERY if polls_host or verb.name not in _OF_FAMILIES)


def run_verb(argv: Sequence[str]) -> int:
    """Run the verb that the command line names; return the exit status."""
    return report_errors(lambda: handle_output_errors(lambda: _run(argv)))


def _run(argv: Sequence[str]) -> int:
    arguments = _parse(argv)
    status: int = arguments.verb.run(arguments)
    return status


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; on bad usage print one line and exit with status 2."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.verb is None:
        parser.error(f"expected one of {', '.join(verb.name for verb in program_verbs())}")
    for option in OPTIONS:
        given = getattr(arguments, option.name.removeprefix("--").replace("-", "_"))
        is_given = given is not None and given is not False
        if is_given and arguments.verb.name not in option.goes_with:
            parser.error(f"{option.name} is only for {' or '.join(option.goes_with)}")
    return arguments


class _Parser(OneLineParser):
    words = "VERB"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=this_program().name,
        description=this_program().about,
        epilog="The configuration is read from PATTOO_CONFIGDIR, or from /etc/pattoo.",
        allow_abbrev=False,
    )
    group = parser.add_mutually_exclusive_group()
    for verb in program_verbs():
        group.add_argument(verb.name, dest="verb", action="store_const", const=verb, help=verb.help)
    for option in OPTIONS:
        if option.choices:
            parser.add_argument(option.name, choices=option.choices(), help=option.help)
        elif option.value:
            parser.add_argument(
                option.name, type=option.value, metavar=option.metavar, help=option.help
            )
        else:
            parser.add_argument(option.name, action="store_true", help=option.help)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    return parser

"""The command line's verbs and options, their help texts, and the parser."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import handle_output_errors, report_errors
from pattoo_mp.cli.spelling import spelled_out
from pattoo_mp.config.families import EVERY
from pattoo_mp.config.settings import program_files
from pattoo_mp.log.reading import LEVELS
from pattoo_mp.paths import choose_config_directory
from pattoo_mp.program import this_program
from pattoo_mp.util.text import either
from pattoo_mp.util.usage import OneLineParser, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Words:
    """What may be named after a verb, one or several of `choices`; `name` is what `--help` calls one."""

    name: str
    choices: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Verb:
    """A command. `target` names the function that runs it, as `module:function` in this package.

    The module is imported only when its verb is used: `--foreground` becomes the control process,
    which must stay small. A verb that reads what may hang is run `apart`, in a child process
    (`run_apart`). `words` may be named after it.
    """

    name: str
    help: str
    target: str
    apart: bool = False
    words: Words | None = None

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command; return the exit status."""
        module, _, function = self.target.partition(":")
        status: int = getattr(import_module(f"pattoo_mp.cli.{module}"), function)(arguments)
        return status


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the verbs in `goes_with`: a flag, or with `choices` one of these.

    With `value` it takes a value that this function makes of the word; without choices, `metavar` is its name in the help.
    Where only the agent knows which values there are, the hidden verb `listed_by` prints them for completion.
    `help` must name the verbs: `--help` shows nothing else about them. With an option that is `endless`, a
    verb goes on until it is told to end.
    """

    name: str
    help: str
    goes_with: tuple[str, ...]
    choices: Callable[[], tuple[str, ...]] | None = None
    value: Callable[[str], Any] | None = None
    metavar: str = ""
    endless: bool = False
    listed_by: str = ""


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
        "Poll this host once and show the values; only those of the families that are named after it, if "
        "any are, as in --once disk_io memory. Sends nothing; needs no configuration.",
        "once:run",
        apart=True,
        words=Words("FAMILY", lambda: EVERY),
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
        apart=True,
    ),
    Verb(
        "--doctor",
        "Check everything on this host that the agent needs, and say how to fix what is wrong. "
        "Changes nothing.",
        "doctor:run",
        apart=True,
    ),
    Verb(
        "--logs",
        "Show the end of the agent's log, of all its processes. Changes nothing.",
        "logs:run",
        apart=True,
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

#: Of `--config DIR`, which goes with every verb.
CONFIG_HELP: Final = "Reads the configuration in this directory, whatever PATTOO_CONFIGDIR says."

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
        endless=True,
    ),
    Option(
        "--follow",
        "Goes on with what is added, until Ctrl-C, when used with --logs.",
        ("--logs",),
        endless=True,
    ),
    Option(
        "--level",
        "Shows only what has this level or a higher one, when used with --logs.",
        ("--logs",),
        lambda: LEVELS,
        value=str.lower,  # the log has them in capitals
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
        "Names the archive, or the directory for it, when used with --support; - is stdout.",
        ("--support",),
        value=str,
        metavar="PATH",
    ),
    Option("--yes", "Does not ask, when used with --support.", ("--support",)),
    Option(
        "--output",
        "Shows only the output of this name, and tells only its troubles and those of the agent, when "
        "used with --status.",
        ("--status",),
        value=str,
        metavar="NAME",
        listed_by="--output-names",
    ),
)

#: For completion only: `--help` shows none of them.
_HIDDEN: Final = (Verb("--output-names", argparse.SUPPRESS, "status:run_output_names", apart=True),)

#: Of programs that poll their host.
_OF_FAMILIES: Final = frozenset({"--once", "--translations"})


def program_verbs() -> tuple[Verb, ...]:
    """The verbs of this program."""
    polls_host = this_program().polls_host
    return tuple(verb for verb in _EVERY if polls_host or verb.name not in _OF_FAMILIES)


def program_options() -> tuple[Option, ...]:
    """The options of this program: those that go with one of its verbs."""
    names = {verb.name for verb in program_verbs()}
    return tuple(option for option in OPTIONS if not names.isdisjoint(option.goes_with))


def run_verb(argv: Sequence[str], *, is_process: bool = False) -> int:
    """Run the verb that the command line names; return the exit status.

    `is_process`: this process was started for it, and may fork or become another one.
    """
    return _reporting(lambda: _run(argv, is_process=is_process))


def _reporting(run: Callable[[], int]) -> int:
    return report_errors(lambda: handle_output_errors(run))


def _run(argv: Sequence[str], *, is_process: bool) -> int:
    arguments = parse(argv)
    verb: Verb = arguments.verb
    if is_process and verb.name == "--foreground" and arguments.spelled_out != list(argv):
        # Once more, without all that is imported by now.
        own = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
        os.execv(sys.executable, [*own, *arguments.spelled_out])  # noqa: S606 - ourselves
    if is_process and verb.apart:
        from pattoo_mp.util.process import run_apart  # noqa: PLC0415

        is_endless = any(
            option.endless and _value(arguments, option) for option in program_options()
        )
        run = partial(_reporting, partial(verb.run, arguments))
        return run_apart(run, ends_itself=is_endless)
    return verb.run(arguments)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; on bad usage print one line and exit with status 2.

    `verb` is a `Verb`, `words` are those named after it, `spelled_out` is the command line as declared.
    """
    parser = command_parser()
    try:
        options, words = parser.spelled_out(argv)
    except ValueError as error:
        parser.error(str(error))
    arguments = parser.parse(options)
    if arguments.verb is None:
        parser.error(f"expected one of {', '.join(verb.name for verb in program_verbs())}")
    if arguments.config:
        choose_config_directory(arguments.config)
    for option in program_options():
        given = _value(arguments, option)
        is_given = given is not None and given is not False
        if is_given and arguments.verb.name not in option.goes_with:
            parser.error(f"{option.name} is only for {either(option.goes_with)}")
    arguments.words, arguments.spelled_out = words, [*options, *words]
    if problem := _wrong_words(words, arguments.verb):
        parser.error(problem)
    return arguments


def _directory(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("'' is no directory; expected one with pattoo.yaml")
    return text


def _value(arguments: argparse.Namespace, option: Option) -> object:
    return getattr(arguments, option.name.removeprefix("--").replace("-", "_"))


def _wrong_words(words: Sequence[str], verb: Verb) -> str:
    """What is wrong about the words after a verb; empty if nothing is."""
    known = verb.words.choices() if verb.words else ()
    wrong = [word for word in words if word not in known]
    if not wrong:
        return ""
    if not known:
        return f"{unknown(wrong, ())}; {verb.name} expects no such word"
    return unknown(wrong, known)


class _Parser(OneLineParser):
    words = "VERB"

    def spelled_out(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        """As `spelling.spelled_out`, with the options of this parser."""
        verbs = [verb.name for verb in program_verbs()]
        return spelled_out(argv, self._actions, [*verbs, "--help", "--version"])


def command_parser() -> _Parser:
    """Return the parser of this program's command line, of the words as they are declared."""
    parser = _Parser(
        prog=this_program().name,
        description=this_program().about,
        epilog="Verbs may be given without dashes (status), and both verbs and options may be abbreviated. "
        "The configuration is read from DIR, or from PATTOO_CONFIGDIR, or from /etc/pattoo.",
        allow_abbrev=False,
    )
    group = parser.add_mutually_exclusive_group()
    for verb in (*program_verbs(), *_HIDDEN):
        group.add_argument(verb.name, dest="verb", action="store_const", const=verb, help=verb.help)
    for option in program_options():
        if option.choices:
            parser.add_argument(
                option.name, type=option.value or str, choices=option.choices(), help=option.help
            )
        elif option.value:
            parser.add_argument(
                option.name, type=option.value, metavar=option.metavar, help=option.help
            )
        else:
            parser.add_argument(option.name, action="store_true", help=option.help)
    parser.add_argument(
        "--config",
        metavar="DIR",
        type=_directory,
        help=CONFIG_HELP,
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    return parser

"""What the command line knows: its verbs, and the options that go with some of them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import outcome, printed
from pattoo_mp.config.settings import FILES
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Verb:
    """A command. `target` names the function in this room that runs it, as `module:function`.

    The module is imported only when its verb is asked for. `--foreground` becomes the control
    process, which must stay small.
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
    """What changes what the verbs in `goes_with` do: a switch, or one of several `choices`.

    `help` names these verbs, for it is all that `--help` shows.
    """

    name: str
    help: str
    goes_with: tuple[str, ...]
    choices: tuple[str, ...] = ()


VERBS: Final = (
    Verb("--start", "Start the agent daemon.", "lifecycle:run_start"),
    Verb("--stop", "Stop the agent daemon.", "lifecycle:run_stop"),
    Verb("--status", "Get daemon status.", "status:run"),
    Verb("--restart", "Restart the agent daemon.", "lifecycle:run_restart"),
    Verb(
        "--reload",
        "Have the running agent daemon go by its changed configuration, without losing a poll. "
        "Exits with 2 if that is refused, with 3 if the daemon is stopped.",
        "lifecycle:run_reload",
    ),
    Verb(
        "--once",
        "Show what a poll of this host holds. Sends nothing; needs no configuration.",
        "once:run",
    ),
    Verb(
        "--translations",
        "Print the CSV file that names the agent's keys to a pattoo server.",
        "print_files:run_translations",
    ),
    Verb(
        "--foreground",
        "Run in the foreground, as supervisord and systemd want it.",
        "foreground:run",
    ),
    Verb(
        "--check",
        "Check the configuration, say where each setting comes from, and ask the server whether "
        "it is there. Changes nothing.",
        "check:run",
    ),
    Verb(
        "--doctor",
        "Check this host as the agent would use it, and say what to do where it is not well. "
        "Changes nothing.",
        "doctor:run",
    ),
    Verb(
        "--sample-config",
        "Print a commented configuration to start from.",
        "print_files:run_sample_config",
    ),
    Verb(
        "--event-listener",
        "Restart a hung agent; supervisord's event listener, run by it alone.",
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
        "Prints this file alone, as it may be used, when used with --sample-config.",
        ("--sample-config",),
        FILES,
    ),
    Option("--all", "Shows the families that are off, too, when used with --once.", ("--once",)),
    Option(
        "--json",
        "Prints JSON, for programs, when used with --check, --once, --doctor or --status.",
        ("--check", "--once", "--doctor", "--status"),
    ),
    Option(
        "--watch",
        "Shows the status again and again, until Ctrl-C, when used with --status.",
        ("--status",),
    ),
)


# From the words of a command line to an exit status.


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks; return the exit status."""
    return outcome(lambda: printed(lambda: _do(argv)))


def _do(argv: Sequence[str]) -> int:
    arguments = _parse(argv)
    status: int = arguments.verb.run(arguments)
    return status


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage if it is not one."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.verb is None:
        parser.error(f"expected one of {', '.join(verb.name for verb in VERBS)}")
    for option in OPTIONS:
        given = getattr(arguments, option.name.removeprefix("--").replace("-", "_"))
        if given and arguments.verb.name not in option.goes_with:
            parser.error(f"{option.name} goes with {' or '.join(option.goes_with)}")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Reports this host's performance to a pattoo server.",
        epilog="The configuration is read from PATTOO_CONFIGDIR, or from /etc/pattoo.",
        allow_abbrev=False,
    )
    verbs = parser.add_mutually_exclusive_group()
    for verb in VERBS:
        verbs.add_argument(verb.name, dest="verb", action="store_const", const=verb, help=verb.help)
    for option in OPTIONS:
        if option.choices:
            parser.add_argument(option.name, choices=option.choices, help=option.help)
        else:
            parser.add_argument(option.name, action="store_true", help=option.help)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    return parser

"""From the words of a command line to an exit status."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pattoo_mp import __version__
from pattoo_mp.cli.outcome import outcome, printed
from pattoo_mp.cli.verbs import OPTIONS, VERBS
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence


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

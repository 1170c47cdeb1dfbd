"""The command line of `pattoo_mp-setup`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import __version__
from pattoo_mp.setup.boot import Boot

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "pattoo_mp-setup"
#: The root of a host, where a user is made, and everything is given to it.
HOST: Final = Path("/")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as `verb`, `root`, and what goes with the verb; exits with 2 if it is none."""
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Makes the agent at home on a host: a user, directories, a configuration, and "
        "what starts it at boot. What a person wrote is never overwritten.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pattoo_mp {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument(
        "--root", type=_directory, default=HOST, metavar="DIR",
        help="put everything below DIR, make no user (for packagers)",
    )  # fmt: skip
    changing = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    changing.add_argument("--dry-run", action="store_true", help="only say what would be done")
    choosing = argparse.ArgumentParser(add_help=False)
    choosing.add_argument(
        "--boot", choices=[each.value for each in Boot],
        help="what starts the agent at boot; without this, what install made it the last time, or "
        "what runs services here",
    )  # fmt: skip
    choosing.add_argument(
        "--logrotate",
        action="store_true",
        help="a file for logrotate, in place of the agent's own rotation",
    )
    verbs.add_parser("install", parents=[changing, choosing], help="add what is not there")
    removing = verbs.add_parser("uninstall", parents=[changing], help="take away what install made")
    removing.add_argument(
        "--purge", action="store_true", help="configuration, data and the user as well"
    )
    verbs.add_parser(
        "status", parents=[everywhere, choosing],
        help="say what is there; exit 0 if nothing is missing, 3 otherwise",
    )  # fmt: skip
    return parser


def _directory(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such directory; expected one that is there")
    return path

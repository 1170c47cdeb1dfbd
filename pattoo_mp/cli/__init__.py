"""The command line: what a person may ask of the agent, one module for each verb."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit status.

    Whoever starts the agent says `--foreground` and little else. That is told apart here, for the
    agent stays, with all that was ever imported for it: it is to be neither a parser of command
    lines nor any other verb.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    match words:
        case ["--foreground"]:
            return _foreground(None)
        case ["--foreground", "--ready-fd", descriptor] if descriptor.isdecimal():
            return _foreground(int(descriptor))
    from pattoo_mp.cli.main import main as verbs  # noqa: PLC0415 - see above

    return verbs(words)


def _foreground(ready_fd: int | None) -> int:
    from pattoo_mp.cli.foreground import be_control  # noqa: PLC0415 - it is for the agent alone
    from pattoo_mp.cli.outcome import outcome  # noqa: PLC0415

    return outcome(lambda: be_control(ready_fd))

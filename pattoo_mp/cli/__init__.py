"""The command line: what a person may ask of the agent, one module for each verb."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDERR: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit status.

    Whoever starts the agent says `--foreground` and little else. That is told apart here, for the
    agent stays, with all that was ever imported for it: it is to be neither a parser of command
    lines nor any other verb.
    """
    _open_what_is_closed()
    words = sys.argv[1:] if argv is None else list(argv)
    match words:
        case ["--foreground"]:
            return _foreground(None)
        case ["--foreground", "--ready-fd", descriptor] if descriptor.isdecimal():
            return _foreground(int(descriptor))
    from pattoo_mp.cli.verbs import main as verbs  # noqa: PLC0415 - see above

    return verbs(words)


def _open_what_is_closed() -> None:
    """Have all three standard streams, though to nowhere (`>&-`, or a careless parent).

    Their numbers would be given to files and sockets of ours, and the streams are None.
    """
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            pass
        os.close(descriptor)
        sys.stdin = sys.stdin or os.fdopen(0)
        sys.stdout = sys.stdout or os.fdopen(1, "w")
        sys.stderr = sys.stderr or os.fdopen(2, "w")


def _foreground(ready_fd: int | None) -> int:
    from pattoo_mp.cli.foreground import be_control  # noqa: PLC0415 - it is for the agent alone
    from pattoo_mp.cli.output import outcome  # noqa: PLC0415

    return outcome(lambda: be_control(ready_fd))

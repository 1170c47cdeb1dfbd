"""The command line: one module for each verb, or for verbs that belong together."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from pattoo_mp.program import AUTONOMOUS, HUB, SPOKE, become, program_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pattoo_mp.program import Program

_STDERR: Final = 2
#: As in `output`, which is imported only once it can be.
_FAILED: Final = 1


def spoked() -> int:
    """Run the command line of a spoke."""
    return main(program=SPOKE)


def hubd() -> int:
    """Run the command line of a hub."""
    return main(program=HUB)


def run_as(name: str) -> int:
    """Run the command line of the program of this name; of the first one if there is none."""
    return main(program=program_of(name) or AUTONOMOUS)


def main(argv: Sequence[str] | None = None, program: Program = AUTONOMOUS) -> int:
    """Run the command line `argv` (by default that of this process); return the exit status.

    It is that of `program`, which this process is from now on.

    The usual `--foreground` command lines are recognised here, without the argument parser. This
    process becomes the agent's control process and keeps every module that it ever imported, so it
    imports neither the parser nor the code of the other verbs. Other ways to spell them become these.
    """
    become(program)
    _open_missing_streams()
    from pattoo_mp.util.dependencies import missing_packages  # noqa: PLC0415 - streams come first

    if problem := missing_packages():
        # What reports errors otherwise may need what is missing.
        print(f"{program.name}: error: {problem}", file=sys.stderr)
        return _FAILED
    words = _split_config(sys.argv[1:] if argv is None else argv)
    match words:
        case ["--foreground" | "foreground"]:
            return _foreground(None)
        case ["--foreground" | "foreground", "--ready-fd", descriptor] if descriptor.isdecimal():
            return _foreground(int(descriptor))
        case ["--foreground", "--config", directory] | ["--config", directory, "--foreground"] if (
            _is_directory(directory)
        ):
            return _foreground(None, directory)
    from pattoo_mp.cli.verbs import run_verb  # noqa: PLC0415 - see above

    return run_verb(words, is_process=argv is None)


def _open_missing_streams() -> None:
    """Open each standard stream that the parent process left closed (`>&-`), to /dev/null.

    Otherwise Python sets it to None, and a file or socket of ours would get its descriptor.
    """
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            pass
        os.close(descriptor)
        sys.stdin = sys.stdin or os.fdopen(0)
        sys.stdout = sys.stdout or os.fdopen(1, "w")
        sys.stderr = sys.stderr or os.fdopen(2, "w")


def _split_config(words: Sequence[str]) -> list[str]:
    """Return the words with `--config=DIR` as two, so that there is one form to recognise."""
    found: list[str] = []
    for word in words:
        found += word.split("=", 1) if word.startswith("--config=") else [word]
    return found


def _is_directory(word: str) -> bool:
    """Whether the word after `--config` can be one; the parser reports another one."""
    return bool(word) and not word.startswith("-")


def _foreground(ready_fd: int | None, directory: str = "") -> int:
    from pattoo_mp.cli.foreground import run_control  # noqa: PLC0415 - only the agent needs it
    from pattoo_mp.cli.output import report_errors  # noqa: PLC0415
    from pattoo_mp.paths import choose_config_directory  # noqa: PLC0415

    if directory:
        choose_config_directory(directory)
    return report_errors(lambda: run_control(ready_fd))

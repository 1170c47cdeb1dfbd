"""A parser of command lines that reports bad usage in one line, and options with a time or a size."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NoReturn

from pattoo_mp.util import units
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit status, as that of argparse.
_BAD_USAGE: Final = 2
#: More than any valid number has.
_MAX_DIGITS: Final = 40


class OneLineParser(argparse.ArgumentParser):
    """Prints one line on bad usage: the whole usage would hide what was wrong.

    `words` are what follows the program in that line, if not only options.
    """

    words = ""

    def error(self, message: str) -> NoReturn:
        """Print the line, and exit with status 2."""
        usage = " ".join(filter(None, (self.prog, self.words, "[OPTION]")))
        self.exit(_BAD_USAGE, f"usage: {usage}: error: {printable(message)}; see --help\n")


# --- options with a time or a size


def time_option(
    least_ms: int, most_ms: int, plain_ms: int, expected: str, step_ms: int = 1
) -> Callable[[str], int]:
    """Return a type: a time with its unit, or a plain number of `plain_ms`; in milliseconds.

    It is a multiple of `step_ms`. `expected` describes the plain number.
    """
    times = range(least_ms, most_ms + 1, step_ms)
    return _option(units.milliseconds, times, plain_ms, f"{units.A_TIME} {expected}")


def size_option(least: int, most: int) -> Callable[[str], int]:
    """Return a type: a number of bytes, plain or with its unit."""
    expected = f"{units.A_SIZE} a number of bytes from {least} to {most}"
    return _option(units.byte_count, range(least, most + 1), 1, expected)


def _option(
    read: Callable[[str], int], valid: range, plain: int, expected: str
) -> Callable[[str], int]:
    def option(text: str) -> int:
        is_plain = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        try:
            found = int(text) * plain if is_plain else read(text)
        except ValueError:
            found = -1
        if found not in valid:
            raise argparse.ArgumentTypeError(f"{printable(text)!r}; expected {expected}")
        return found

    return option

"""A parser of command lines that reports bad usage in one line, and names what was probably meant.

Also options with a time or a size.
"""

from __future__ import annotations

import argparse
from itertools import chain
from typing import TYPE_CHECKING, Final, NoReturn

from pattoo_mp.util import units
from pattoo_mp.util.text import either, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: Exit status, as that of argparse.
_BAD_USAGE: Final = 2
#: More than any valid number has.
_MAX_DIGITS: Final = 40
#: What stands before an option: also the dashes that a word processor or a wiki makes of two.
_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
#: Longer words are no typos, and comparing them takes time.
_LONGEST: Final = 40


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the one of `names` that is most like a mistyped word; empty if none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    by_letters = {name.strip(_DASHES): name for name in names}
    letters = word.partition("=")[0].strip(_DASHES).lower()
    found = get_close_matches(letters[:_LONGEST], by_letters, 1)
    return by_letters[found[0]] if found else ""


def unknown(words: Sequence[str], names: Iterable[str]) -> str:
    """Return the message about words that no program of ours knows, of which the first may be a typo."""
    known = list(names)
    meant = next(filter(None, (nearest(word, known) for word in words)), "")
    guess = f"; did you mean {meant}?" if meant else ""
    return f"unrecognized arguments: {' '.join(words)}{guess}"


class OneLineParser(argparse.ArgumentParser):
    """Prints one line on bad usage: the whole usage would hide what was wrong.

    `words` are what follows the program in that line, if not only options. Options are not abbreviated.
    """

    words = ""

    def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse the command line, by default that of this process; on bad usage exit with status 2."""
        arguments, left = self.parse_known_args(argv)
        if left:
            self.error(self._why_left(left))
        return arguments

    def error(self, message: str) -> NoReturn:
        """Print the line, and exit with status 2."""
        usage = " ".join(filter(None, (self.prog, self.words, "[OPTION]")))
        self.exit(_BAD_USAGE, f"usage: {usage}: error: {printable(message)}; see --help\n")

    def options(self) -> Iterator[str]:
        """The names of the options that `--help` shows."""
        for action in self._actions:
            if action.help != argparse.SUPPRESS:
                yield from action.option_strings

    def _why_left(self, left: Sequence[str]) -> str:
        options = {name: [*command.options()] for name, _, command in self.commands()}
        for word in left:
            if names := [name for name, own in options.items() if word.partition("=")[0] in own]:
                return (
                    f"unrecognized arguments: {' '.join(left)}; {word} is only for {either(names)}"
                )
        return unknown(left, [*self.options(), *chain.from_iterable(options.values())])

    def commands(self) -> Iterator[tuple[str, str, OneLineParser]]:
        """The commands that may follow: name, help, and the parser of what follows those."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - it has no public name
                helps = {each.dest: each.help or "" for each in action._get_subactions()}  # noqa: SLF001
                for name, command in action.choices.items():
                    yield name, helps.get(name, ""), command

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """As argparse, which lists the choices; and name the nearest."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if meant := nearest(str(value), map(str, action.choices or ())):
                error.message += f"; did you mean {meant}?"
            raise


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

"""A parser of command lines that reports bad usage in one line."""

from __future__ import annotations

import argparse
from typing import Final, NoReturn

from pattoo_mp.util.text import printable

#: Exit status, as that of argparse.
_BAD_USAGE: Final = 2


class OneLineParser(argparse.ArgumentParser):
    """Prints one line on bad usage: the whole usage would hide what was wrong.

    `words` are what follows the program in that line, if not only options.
    """

    words = ""

    def error(self, message: str) -> NoReturn:
        """Print the line, and exit with status 2."""
        usage = " ".join(filter(None, (self.prog, self.words, "[OPTION]")))
        self.exit(_BAD_USAGE, f"usage: {usage}: error: {printable(message)}; see --help\n")

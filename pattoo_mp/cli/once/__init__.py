"""`--once`: one poll of this host, to be read. Nothing is posted, and no agent is disturbed."""

from __future__ import annotations

import json
import logging
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from pattoo_mp.cli.once.document import document
from pattoo_mp.cli.once.text import lines
from pattoo_mp.cli.statuses import DONE, FAILED
from pattoo_mp.doctor.look import look

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Look at the host and print it; a failure only if it gives nothing at all."""
    # What is left out is told among the figures; said here too it would be said twice.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    seen = look()
    if arguments.json:
        print(json.dumps(document(seen), indent=2))
    else:
        _show_any_letter()
        print("\n".join(lines(seen)))
    return DONE if any(answer.figures for answer in seen.answers) else FAILED


def _show_any_letter() -> None:
    """A mount point may hold letters that the terminal's encoding has not."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")

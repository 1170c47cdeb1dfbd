"""`--once`: one poll of this host, to be read. Nothing is posted, and no agent is disturbed."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from pattoo_mp.cli.once.document import document
from pattoo_mp.cli.once.text import lines
from pattoo_mp.cli.statuses import DONE, FAILED
from pattoo_mp.cli.terminal import show_any_letter
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
        show_any_letter()
        print("\n".join(lines(seen)))
    return DONE if any(answer.figures for answer in seen.answers) else FAILED

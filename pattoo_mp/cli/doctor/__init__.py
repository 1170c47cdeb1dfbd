"""`--doctor`: this host as the agent would use it, with what to do where it is not well."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from pattoo_mp.cli.doctor import text
from pattoo_mp.cli.doctor.document import broken, document
from pattoo_mp.cli.for_programs import told_in_json
from pattoo_mp.cli.statuses import DONE, FAILED
from pattoo_mp.cli.terminal import show_any_letter
from pattoo_mp.config import load
from pattoo_mp.doctor.examination import Examination
from pattoo_mp.doctor.finding import State
from pattoo_mp.paths import config_directory

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, part by part, as soon as it is. Disturbs no agent that runs."""
    with told_in_json(arguments, broken):
        directory = config_directory()
        examination = Examination(directory, load.read_within(directory))
    # What is left out of a poll is told among the findings; said here too it would be said twice.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    show_any_letter()
    parts = []
    for part in examination.parts():
        parts.append(part)
        if not arguments.json:
            print("\n".join(text.lines(part)), flush=True)
    print(json.dumps(document(parts), indent=2) if arguments.json else text.summary(parts))
    is_bad = any(finding.state is State.TROUBLE for part in parts for finding in part.findings)
    return FAILED if is_bad else DONE

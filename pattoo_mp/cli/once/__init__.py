"""`--once`: one poll of this host, to be read. Nothing is posted, and no agent is disturbed."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pattoo_mp.cli.once.document import document
from pattoo_mp.cli.once.text import lines
from pattoo_mp.cli.statuses import DONE, FAILED
from pattoo_mp.cli.terminal import show_any_letter
from pattoo_mp.collect.filters import Wanted
from pattoo_mp.config import isolated
from pattoo_mp.config.families import EVERY
from pattoo_mp.doctor.polls import DEFAULT, look
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import PROGRAM
from pattoo_mp.paths import config_directory

if TYPE_CHECKING:
    import argparse

    from pattoo_mp.config.values import Config


def run(arguments: argparse.Namespace) -> int:
    """Look at the host and print it; a failure only if it gives nothing at all."""
    # What is left out is told among the figures; said here too it would be said twice.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    configured = _configured()
    wanted = DEFAULT if configured is None else Wanted.of(configured.fields())
    wanted.paths.adopt()
    seen = look(
        replace(wanted, families=EVERY) if arguments.all else wanted,
        None if configured is None else configured.hostname,
    )
    if arguments.json:
        print(json.dumps(document(seen), indent=2))
    else:
        show_any_letter()
        print("\n".join(lines(seen)))
    return DONE if any(answer.figures for answer in seen.answers) else FAILED


def _configured() -> Config | None:
    """The configuration, if there is one; one that is there but of no use is told of."""
    try:
        directory = config_directory()
        if not directory.exists():
            return None
        return isolated.check(directory)
    except ConfigError as error:
        problem = error.problems[0]
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    print(f"{PROGRAM}: as by default, without a configuration: {problem}", file=sys.stderr)
    return None

"""`--check`: the configuration as the agent would read it, and whether its server is there."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from pattoo_mp import config, directories
from pattoo_mp.cli import check_report
from pattoo_mp.cli.check_report import Checked
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.collect.timelimit import TimeLimited
from pattoo_mp.directories import State
from pattoo_mp.doctor import server
from pattoo_mp.errors import ConfigError, PattooError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

#: A local disk answers at once; a dead file server never does.
_LOOK_S: Final = 5.0


def run(arguments: argparse.Namespace) -> int:
    """Print what is so; what is wrong is told as at a start. Makes nothing."""
    checked = _checked(config.config_directory())
    if arguments.json:
        print(json.dumps(check_report.fields(checked), indent=2))
    else:
        print("\n".join(check_report.lines(checked)))
    sys.stdout.flush()
    if checked.problems:
        raise ConfigError(checked.problems)
    if checked.server is not None and checked.server.error:
        raise PattooError(
            f"{checked.server.url}: {checked.server.error}; expected a pattoo server that is well"
        )
    return DONE


def _checked(directory: Path) -> Checked:
    reading = config.look(directory)
    if reading.problems:
        return Checked(directory, reading, list(reading.problems))
    settings = config.config_of(reading)
    states = _states([path for _, path in config.named_directories(settings)])
    problems = config.unusable(directory, settings, lambda path: states[path].problem)
    return Checked(directory, reading, problems, settings, states, server.ask(settings))


def _states(paths: list[Path]) -> dict[Path, State]:
    """Look at directories, for a limited time: one may be a dead server's."""
    looks = TimeLimited("directories", directories.look, _LOOK_S).ask(paths)
    return {
        path: look if isinstance(look, State) else State(is_there=False, problem=f"gives {look}")
        for path, look in looks.items()
    }

"""`--check`: the configuration as the agent would read it, and whether its server is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.check.checked import Checked
from pattoo_mp.cli.check.document import document
from pattoo_mp.cli.check.text import lines
from pattoo_mp.cli.for_programs import told_in_json
from pattoo_mp.cli.statuses import DONE
from pattoo_mp.cli.terminal import show_any_letter
from pattoo_mp.config import host_checks, load
from pattoo_mp.config.host_checks import State
from pattoo_mp.config.load import Reading
from pattoo_mp.doctor import server
from pattoo_mp.doctor.files import hindrances
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.paths import as_named, config_directory
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pattoo_mp.config.values import Config

#: A local disk answers at once; a dead file server never does.
_LOOK_S: Final = 5.0


def run(arguments: argparse.Namespace) -> int:
    """Print what is so; what is wrong is told as at a start. Makes nothing."""
    with told_in_json(arguments, _unread):
        checked = _check(config_directory())
    show_any_letter()
    if arguments.json:
        print(json.dumps(document(checked), indent=2))
    else:
        print("\n".join(lines(checked)))
    sys.stdout.flush()
    if checked.problems:
        raise ConfigError(checked.problems)
    for asked in checked.servers:
        if asked.error:
            raise PattooError(f"{asked.url}: {asked.error}; expected a pattoo server that is well")
    return DONE


def _unread(problems: Sequence[str]) -> dict[str, Any]:
    """The document where there was no directory to read."""
    reading = Reading((), tuple(problems))
    return document(Checked(Path(as_named()), reading, reading.problems))


def _check(directory: Path) -> Checked:
    reading = load.read_within(directory)
    if reading.problems:
        return Checked(directory, reading, reading.problems)
    settings = load.config_of(reading)
    states = _states([path for _, path in load.named_directories(settings)])
    problems = load.unusable(directory, settings, lambda path: states[path].problem)
    problems += _untrusted(directory, settings)
    problems += load.lacking(directory, settings)
    problems += _hindrances(settings, [path for path, state in states.items() if state.problem])
    first, *others = server.ask_each(settings)
    return Checked(directory, reading, tuple(problems), settings, states, first, tuple(others))


def _untrusted(directory: Path, settings: Config) -> list[str]:
    """Look at the transport's files, for a limited time too."""
    limited: TimeLimited[Path, list[str]] = TimeLimited(
        "files of the transport", lambda path: load.untrusted(path, settings), _LOOK_S
    )
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        return [f"{directory}: {error}; expected files that can be read"]


def _hindrances(settings: Config, closed: list[Path]) -> list[str]:
    """Look at the files that a start opens, but in `closed` directories; for a limited time too."""
    limited: TimeLimited[str, list[str]] = TimeLimited(
        "files", lambda _: hindrances(settings, closed), _LOOK_S
    )
    try:
        return limited.ask_one("files")
    except NoAnswerError as error:
        return [f"{settings.system_daemon_directory}: {error}; expected files that can be used"]


def _states(paths: list[Path]) -> dict[Path, State]:
    """Look at directories, for a limited time: one may be a dead server's."""
    looks = TimeLimited("directories", host_checks.directory_state, _LOOK_S).ask(paths)
    return {
        path: look if isinstance(look, State) else State(is_there=False, problem=f"gives {look}")
        for path, look in looks.items()
    }

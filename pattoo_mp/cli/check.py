"""What `--check` found."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, show_any_letter, told_in_json
from pattoo_mp.config import host_checks, load
from pattoo_mp.config.host_checks import State
from pattoo_mp.config.load import Reading, named_directories
from pattoo_mp.doctor import server
from pattoo_mp.doctor.files import start_problems
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.paths import as_named, config_directory
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util import text
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.config.load import Found
    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.server import Asked


@dataclass(frozen=True, slots=True)
class Checked:
    """The configuration in `directory`.

    With a problem in a file there is no `config`, and neither directory nor server was looked at.
    """

    directory: Path
    reading: Reading
    problems: tuple[str, ...]
    config: Config | None = None
    states: Mapping[Path, State] = field(default_factory=dict)
    server: Asked | None = None
    other_servers: tuple[Asked, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether an agent could start, and post."""
        return not self.problems and bool(self.servers) and not any(s.error for s in self.servers)

    @property
    def servers(self) -> tuple[Asked, ...]:
        """All that were asked, by preference."""
        return () if self.server is None else (self.server, *self.other_servers)

    def in_force(self, found: Found) -> object:
        """A setting's value as the file has it; a default that follows from others, as it is.

        None if it is not set, and has no default.
        """
        if found.given is None and self.config is not None:
            return self.config.effective(found.setting.name)
        return found.given


# What `--check` found as a document for a script, described by `check.schema.json`: pure.

#: It grows when a script that reads the document could no longer read it. What is only added
#: to the document leaves it as it is.
SCHEMA: Final = 1


def document(checked: Checked) -> dict[str, Any]:
    """What `--check --json` prints."""
    return {
        "schema": SCHEMA,
        "directory": str(checked.directory),
        "settings": [_setting(checked, found) for found in checked.reading.found],
        "directories": [
            {"path": str(path), "is_there": state.is_there, "problem": state.problem}
            for path, state in checked.states.items()
        ],
        "server": None if checked.server is None else _server(checked.server),
        "other_servers": [_server(asked) for asked in checked.other_servers],
        "notes": list(checked.reading.notes),
        "problems": list(checked.problems),
    }


def _setting(checked: Checked, found: Found) -> dict[str, Any]:
    value = checked.in_force(found)
    return {
        "file": found.path.name,
        "section": found.setting.section,
        "name": found.setting.name,
        # A wrong one may be anything that YAML can say, a date for example.
        "value": value if isinstance(value, (str, int, float, bool, type(None))) else str(value),
        "is_set": found.is_set,
    }


def _server(asked: Asked) -> dict[str, Any]:
    return {
        "url": asked.url,
        "error": asked.error,
        "round_trip_s": round(asked.round_trip_s, 6),
    }


# What `--check` found, in words: pure.


def lines(checked: Checked) -> list[str]:
    """A line for each setting, directory and server; what is wrong is told elsewhere."""
    report = [f"Configuration in {checked.directory}", *_settings(checked)]
    report += [f"  Note: {printable(note)}" for note in checked.reading.notes]
    if checked.config is not None:
        report += ["", "Directories"]
        report += _columns(_directories(checked.config, checked.states), indent=2)
    if checked.server is not None:
        report += ["", "Server"]
        report += _columns([(one.url, _answer(one)) for one in checked.servers], indent=2)
    return [*report, "", "All is well."] if checked.is_well else report


def _settings(checked: Checked) -> Iterator[str]:
    found = checked.reading.found
    rows = [(one.setting.name, _value(checked, one), _source(one)) for one in found]
    table = iter(_columns(rows, indent=4))
    for section, group in groupby(found, lambda one: one.setting.section):
        yield f"  {section}"
        yield from (next(table) for _ in group)


def _value(checked: Checked, found: Found) -> str:
    value = checked.in_force(found)
    return "not set" if value is None else printable(str(value))


def _source(found: Found) -> str:
    if found.is_set:
        return found.path.name
    is_elsewhere = found.path.name != found.setting.file
    return f"default (not in {found.path.name})" if is_elsewhere else "default"


def _directories(config: Config, states: Mapping[Path, State]) -> Iterator[tuple[str, str]]:
    for _, path in named_directories(config):
        state = states[path]
        made = "is there" if state.is_there else "is made at the start"
        yield printable(str(path)), state.problem or made


def _answer(server: Asked) -> str:
    took = text.duration(server.round_trip_s)
    return f"{server.error} (after {took})" if server.error else f"is well, answers within {took}"


def _columns(rows: Iterable[tuple[str, ...]], indent: int) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [" " * indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


# `--check`: the configuration as the agent would read it, and whether its server is there.

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
        "files", lambda _: start_problems(settings, closed), _LOOK_S
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

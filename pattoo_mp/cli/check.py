"""`--check`: the configuration as the agent would read it, its directories, and its servers.

The result is printed as text, or with `--json` as the document that `check.schema.json` describes.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.cli.output import DONE, errors_as_json, escape_unencodable
from pattoo_mp.config import host_checks, load, owner
from pattoo_mp.config.host_checks import State
from pattoo_mp.config.load import named_directories
from pattoo_mp.config.reading import Reading, read_within
from pattoo_mp.config.values import PATTOO, PROMETHEUS, PULL, VARIABLES, is_loopback
from pattoo_mp.doctor import server, spokes
from pattoo_mp.doctor.files import start_problems
from pattoo_mp.errors import ConfigError, PattooError
from pattoo_mp.operate.agent import Agent, other_variables
from pattoo_mp.paths import config_directory, raw_config_directory
from pattoo_mp.program import this_program
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.upload.fault import HERE
from pattoo_mp.util import text, trust
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pattoo_mp.collect.spokes.probe import Probed
    from pattoo_mp.config.reading import Found
    from pattoo_mp.config.values import Config, Output
    from pattoo_mp.doctor.server import ServerCheck


#: The version of the document. It changes only if scripts that read it would break, not if members
#: are added.
SCHEMA: Final = 1
#: Time limit for file systems (s): a local disk answers at once, a dead file server never.
_DISK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of the check of the configuration in `directory`.

    If a file has a problem there is no `config`, and neither directories nor servers were checked.
    """

    directory: Path
    reading: Reading
    problems: tuple[str, ...]
    config: Config | None = None
    states: Mapping[Path, State] = field(default_factory=dict)
    server: ServerCheck | None = None
    other_servers: tuple[ServerCheck, ...] = ()
    spokes: tuple[Probed, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether an agent could start and post."""
        is_complete = not self.problems and self.config is not None
        is_complete = is_complete and all(probed.kind for probed in self.spokes)
        return is_complete and not any(asked.error for asked in self.servers)

    @property
    def servers(self) -> tuple[ServerCheck, ...]:
        """All servers that were asked, in order of preference."""
        return () if self.server is None else (self.server, *self.other_servers)

    def in_force(self, found: Found) -> object:
        """The value of a setting: from its file, or the default, which may follow from other settings.

        None if it is not set and has no default.
        """
        if found.given is None and self.config is not None:
            return self.config.effective(found.setting.key)
        return found.given


def run(arguments: argparse.Namespace) -> int:
    """`--check`: print the result, and problems to stderr as `--start` does. Creates nothing."""
    with errors_as_json(arguments, _document_of_errors):
        checked = examine(config_directory())
    escape_unencodable()
    if arguments.json:
        print(json.dumps(document(checked), indent=2))
    else:
        # A server's answer and the names on a host may hold any character.
        print("\n".join(map(printable, lines(checked))))
    sys.stdout.flush()
    if checked.problems:
        raise ConfigError(checked.problems)
    for asked in checked.servers:
        if "; expected " in asked.error:
            raise PattooError(f"{asked.url}: {asked.error}")
        if asked.error:
            kind = "server" if asked.output and asked.output.kind != PATTOO else "pattoo server"
            where = "a host that can reach it" if asked.fault in HERE else f"a working {kind}"
            raise PattooError(f"{asked.url}: {asked.error}; expected {where}")
    bad = [probed for probed in checked.spokes if not probed.kind]
    if bad:
        several = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise PattooError(f"{bad[0].target.name}: {bad[0].why}{several}; expected a spoke")
    return DONE


def _document_of_errors(problems: Sequence[str]) -> dict[str, Any]:
    """The document if there was no directory to read."""
    reading = Reading((), tuple(problems))
    return document(Checked(Path(raw_config_directory()), reading, reading.problems))


def examine(directory: Path) -> Checked:
    """Check the configuration in `directory`. Raises `ConfigError` if it is no directory to be read."""
    reading = read_within(directory)
    if reading.problems:
        return Checked(directory, reading, reading.problems)
    settings = load.config_from(reading)
    states = _states([path for _, path in load.named_directories(settings)])
    problems = load.directory_problems(directory, settings, lambda path: states[path].problem)
    unusable = [path for path, state in states.items() if state.problem]
    untrusted, found = _untrusted(directory, settings, unusable)
    for path, why in untrusted.items():
        states[path] = replace(states[path], problem=why)
    problems += found
    problems += _transport_problems(directory, settings)
    problems += load.lacking_software(directory, settings)
    problems += _file_problems(settings, [*unusable, *untrusted])
    notes = [*reading.notes, *_lacking(settings), *_missing_programs(settings)]
    notes += _open_to_others(settings)
    if not problems:
        notes += other_variables(Agent(settings.system_daemon_directory), settings.variables)
    reading = replace(reading, notes=tuple(notes))
    asked = server.check_servers(settings)
    first, others = (asked[0], asked[1:]) if asked else (None, ())
    found_spokes = tuple(spokes.check_spokes(settings))
    return Checked(
        directory, reading, tuple(problems), settings, states, first, others, found_spokes
    )


def _lacking(settings: Config) -> Iterator[str]:
    """What a family that is on lacks on this host: the agent runs without it, and says so once."""
    needing = {
        "textfile": "textfile" in settings.families,
        "commands": "commands" in settings.families
        and any(command.form == PROMETHEUS for command in settings.commands),
    }
    if find_spec("prometheus_client") is None:
        for family in (name for name, is_needing in needing.items() if is_needing):
            of = " of format prometheus" if family == "commands" else ""
            yield (
                f"families: {family} sends nothing{of}: prometheus_client is not installed; "
                "expected the extra `textfile` of pattoo_mp, or Debian's python3-prometheus-client"
            )


def _missing_programs(settings: Config) -> Iterator[str]:
    """The programs of commands that are not there: they may come later. Time-limited, too."""
    programs = {command.words[0]: command.name for command in settings.commands}
    limited: TimeLimited[str, bool] = TimeLimited("programs", os.path.isfile, _DISK_S)
    for path, answer in limited.ask(programs).items():
        if answer is not True:
            wrong = f"gives {answer}" if isinstance(answer, Exception) else "is no file"
            yield f"commands: {programs[path]}: {path} {wrong}; expected a program"


def _open_to_others(settings: Config) -> Iterator[str]:
    """What others than this host get of an output that listens."""
    for output in settings.outputs:
        if output.is_exposed:
            yield (
                f"{output.named_by}: {output.listen} can be reached by others, without allow or tokens_file: "
                "they get the page of an original spoke, and nothing else"
            )
        elif (
            output.trust.tokens_file
            and not output.trust.certificate_file
            and not is_loopback(output.listen)
        ):
            yield (
                f"outputs: {output.name}: tokens cross the network unencrypted without tls_certificate_file"
            )


def _untrusted(
    directory: Path, settings: Config, unusable: list[Path]
) -> tuple[dict[Path, str], list[str]]:
    """What other users could change, except `unusable` directories: why, by directory; and all lines.

    Time-limited, too.
    """

    def ask(path: Path) -> tuple[dict[Path, str], list[str]]:
        user = owner.user_of(path)
        named = [one for _, one in load.named_directories(settings) if one not in unusable]
        why = {one: trust.examine(one, user).problem for one in named}
        problems = load.trust_problems(path, settings, user, unusable)
        return {one: problem for one, problem in why.items() if problem}, problems

    try:
        return TimeLimited("owners", ask, _DISK_S).ask_one(directory)
    except ConfigError as error:
        return {}, list(error.problems)
    except NoAnswerError as error:
        return {}, [f"{directory}: {error}; expected files that can be read"]


def _transport_problems(directory: Path, settings: Config) -> list[str]:
    """The problems of the TLS and credential files; these are read with a time limit, too."""
    limited: TimeLimited[Path, list[str]] = TimeLimited(
        "files of the transport", lambda path: load.transport_file_problems(path, settings), _DISK_S
    )
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        return [f"{directory}: {error}; expected files that can be read"]


def _file_problems(settings: Config, unusable: list[Path]) -> list[str]:
    """The problems of the files that a start opens, except in `unusable` directories.

    Time-limited, too.
    """
    limited: TimeLimited[str, list[str]] = TimeLimited(
        "files", lambda _: start_problems(settings, unusable), _DISK_S
    )
    try:
        return limited.ask_one("files")
    except NoAnswerError as error:
        return [f"{settings.system_daemon_directory}: {error}; expected files that can be used"]


def _states(paths: list[Path]) -> dict[Path, State]:
    """The state of each directory. Time-limited, as one may be on a dead file server."""
    answers = TimeLimited("directories", host_checks.directory_state, _DISK_S).ask(paths)
    return {
        path: found if isinstance(found, State) else State(is_there=False, problem=f"gives {found}")
        for path, found in answers.items()
    }


# The document for scripts.


def document(checked: Checked) -> dict[str, Any]:
    """What `--check --json` prints."""
    spoke_rows = {"spokes": [_spoke(probed) for probed in checked.spokes]}
    return {
        "schema": SCHEMA,
        "directory": str(checked.directory),
        "settings": [_setting(checked, found) for found in checked.reading.found],
        "directories": [
            {"path": str(path), "is_there": state.is_there, "problem": state.problem}
            for path, state in checked.states.items()
        ],
        "outputs": [] if checked.config is None else list(map(_output, checked.config.outputs)),
        "server": None if checked.server is None else _server(checked.server),
        "other_servers": [_server(asked) for asked in checked.other_servers],
        "notes": list(checked.reading.notes),
        "problems": list(checked.problems),
        **(spoke_rows if this_program().is_hub else {}),
    }


def _setting(checked: Checked, found: Found) -> dict[str, Any]:
    value = found.setting.plain(checked.in_force(found))
    return {
        "file": _file(found),
        "section": found.setting.section,
        "name": found.setting.name,
        # An invalid value may have any YAML type, a date for example.
        "value": value if isinstance(value, (str, int, float, bool, type(None))) else str(value),
        "is_set": found.is_set,
        "sources": list(found.sources),
    }


def _file(found: Found) -> str:
    """The last file that sets a setting, or the one in which it belongs."""
    files = [name for name in found.sources if not name.startswith(VARIABLES)]
    return files[-1] if files else found.path.name


def _output(output: Output) -> dict[str, Any]:
    """An output in force; neither its headers nor its credentials."""
    return {
        "name": output.name,
        "kind": output.kind,
        "urls": list(output.urls),
        "families": None if output.families is None else list(output.families),
    }


def _server(asked: ServerCheck) -> dict[str, Any]:
    return {
        "url": asked.url,
        "error": asked.error,
        "round_trip_s": round(asked.round_trip_s, 6),
    }


def _spoke(probed: Probed) -> dict[str, Any]:
    return {
        "name": probed.target.name,
        "state": probed.state.value,
        "kind": probed.kind,
        "why": probed.why,
        "round_trip_s": round(probed.took_s, 6),
    }


# The text for a person.


def lines(checked: Checked) -> list[str]:
    """A line for each setting, directory and server; the caller reports the problems."""
    report = [f"Configuration in {checked.directory}", *_settings(checked)]
    report += [f"  Note: {printable(note)}" for note in checked.reading.notes]
    if checked.config is not None:
        report += ["", "Directories"]
        report += _columns(_directories(checked.config, checked.states), indent=2)
    if checked.config is not None and (checked.config.given_outputs or not checked.servers):
        report += ["", "Outputs", *_columns(map(_output_row, checked.config.outputs), indent=2)]
    if checked.server is not None:
        report += ["", "Server"]
        report += _columns([(one.url, _answer(one)) for one in checked.servers], indent=2)
    if checked.spokes:
        report += ["", "Spokes", *_columns(map(spokes.line, checked.spokes), indent=2)]
    return [*report, "", "All is well."] if checked.is_well else report


def _output_row(output: Output) -> tuple[str, ...]:
    if output.kind == PULL:
        who = f"for {', '.join(output.allow)}" if output.allow else ""
        who += " with a token" if output.trust.tokens_file else ""
        return output.name, output.kind, f"at {output.urls[0]}", who.strip()
    families = "all families" if output.families is None else ", ".join(output.families)
    return output.name, output.kind, output.naming and f"naming {output.naming}", families


def _settings(checked: Checked) -> Iterator[str]:
    found = checked.reading.found
    rows = [(one.setting.name, _value(checked, one), _source(one)) for one in found]
    table = iter(_columns(rows, indent=4))
    for section, group in groupby(found, lambda one: one.setting.section):
        yield f"  {section}"
        yield from (next(table) for _ in group)


def _value(checked: Checked, found: Found) -> str:
    value = checked.in_force(found)
    if found.setting.name in {"outputs", "commands"} and checked.config is not None:
        value = checked.config.effective(found.setting.name) or "[]"
    if found.setting.key == "targets" and checked.config is not None:
        value = counted(len(checked.config.targets), "target")
    return "not set" if value is None else printable(found.setting.readable(value))


def _source(found: Found) -> str:
    if found.is_set:
        return ", ".join(found.sources)
    is_elsewhere = found.path.name != found.setting.file
    return f"default (not in {found.path.name})" if is_elsewhere else "default"


def _directories(config: Config, states: Mapping[Path, State]) -> Iterator[tuple[str, str]]:
    for _, path in named_directories(config):
        state = states[path]
        exists = "exists" if state.is_there else "will be created at start"
        yield printable(str(path)), state.problem or exists


def _answer(server: ServerCheck) -> str:
    took = text.duration(server.round_trip_s)
    return f"{server.error} (after {took})" if server.error else f"is well, answers within {took}"


def _columns(rows: Iterable[tuple[str, ...]], indent: int) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [" " * indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]

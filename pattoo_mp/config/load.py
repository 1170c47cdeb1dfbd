"""Reads and checks the configuration files, and turns them into a `Config`.

- `load`, `check`: for a start, with or without making the directories that the settings name.
- `check_reload`: for an agent that runs with another configuration.
- `read_files`, `read_within`: all settings with their files and problems, for --check and --doctor.
- `read_system_daemon_directory`: only what is needed to find a running agent.

All problems are reported together, in one line each: file, section, setting, value and what was
expected. A running agent imports this module only in a process that exits afterwards (`isolated`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import host_checks, probe, ways
from pattoo_mp.config.consistency import (
    conflicting_settings,
    misplaced_settings,
    setting_of,
    unused_settings,
)
from pattoo_mp.config.secrets import credential_problems
from pattoo_mp.config.settings import AGENT_FILE, LATER_SHARED_FILE, SERVER, SETTINGS, SHARED_FILE
from pattoo_mp.config.validators import InvalidPart, InvalidPartError, InvalidPartsError
from pattoo_mp.config.values import FIELDS, REMOTE_WRITE, Config
from pattoo_mp.config.yaml_files import (
    NOT_SHOWN,
    Sections,
    plain_decimal,
    read_sections,
    redacted,
    unquoted,
)
from pattoo_mp.errors import ConfigError, TrustError, where_and_why
from pattoo_mp.model import PROGRAM
from pattoo_mp.paths import DEFAULT_DIRECTORY, VARIABLE
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pattoo_mp.config.settings import Setting


#: The longest value, in characters, that a message shows whole.
_VALUE_IN_MESSAGE: Final = 60
#: How long reading may take, in seconds: the files may be on a file system that hangs.
_READ_S: Final = 10.0


# --- for a start


def load(directory: Path) -> Config:
    """Read and check the files in `directory`, and make the directories that they name.

    Raises `ConfigError` with one line for each problem.
    """
    _require_trust(directory, config := check(directory))
    problems = directory_problems(directory, config, host_checks.make_directory)
    # Another user may have been faster where a directory was missing.
    _require_trust(directory, config)
    problems = problems or lack_problems(config)
    problems += [
        *lacking_software(directory, config),
        *transport_file_problems(directory, config),
    ]
    if problems:
        raise ConfigError(problems)
    return config


def _require_trust(directory: Path, config: Config) -> None:
    """Raise `ConfigError` if users other than root and ours could change what the agent works with."""
    if problems := trust_problems(directory, config, os.geteuid()):
        raise ConfigError(problems)


def check(directory: Path) -> Config:
    """Read and check the files in `directory`; change nothing. Raises `ConfigError`."""
    return config_from(read_files(directory))


def config_from(reading: Reading) -> Config:
    """Return the `Config` of files without problems. Raises `ConfigError` if there are any."""
    if reading.problems:
        raise ConfigError(reading.problems)
    values = reading.values
    if values["system_daemon_directory"] is None:
        values["system_daemon_directory"] = values["daemon_directory"]
    return Config(
        **{
            FIELDS.get(setting.name, setting.name): values[setting.name]
            for setting in SETTINGS
            if setting.is_used
        }
    )


def read_system_daemon_directory(directory: Path) -> Path:
    """Read only `system_daemon_directory`, which is enough to find and stop a running agent.

    The other settings may have become invalid since it started. Raises `ConfigError`, also if another
    user than root, ours and the agent's could change the files or what is in that directory.
    """
    if problems := ways.configuration_problems(directory):
        raise ConfigError(problems)
    found = _read_shared(directory, {"daemon_directory", "system_daemon_directory"})
    state = Path(str(found["system_daemon_directory"] or found["daemon_directory"]))
    if problems := ways.state_problems(state):
        raise ConfigError(problems)
    return state


def read_directories(directory: Path) -> list[Path]:
    """Read only the directories that the agent writes to; none if a file or a setting is invalid."""
    names = {setting.name for setting in SETTINGS if setting.is_written_to}
    try:
        found = _read_shared(directory, names)
    except ConfigError:
        return []
    return [Path(str(value)) for value in found.values() if value]


def _read_shared(directory: Path, names: set[str]) -> dict[str, object]:
    """Read the settings `names` of the shared file. Raises `ConfigError`."""
    _check_directory_exists(directory)
    problems: list[str] = []
    path = directory / SHARED_FILE
    sections = read_file(path, problems)
    found = {
        setting.name: read_setting(setting, path, sections, problems).value
        for setting in SETTINGS
        if setting.name in names and not problems
    }
    if problems:
        raise ConfigError(problems)
    return found


# --- for a reload


def check_reload(directory: Path, running: Config) -> Config:
    """Read and check the files in `directory` for an agent that runs with `running`.

    Changes nothing. Raises `ConfigError` with the lines of a start, or with one line for each changed
    setting that needs a restart, for software that this host lacks and for each bad file of the
    transport. The new settings are then all to be refused.
    """
    new = check(directory)
    problems = [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{_quoted(new, setting)}; expected {_quoted(running, setting)}, "
        f"as in the running agent: a change needs a restart"
        for setting in changes(running, new)
        if setting.needs_restart
    ]
    problems += trust_problems(directory, new, os.geteuid())
    problems += [*lacking_software(directory, new), *transport_file_problems(directory, new)]
    if problems:
        raise ConfigError(problems)
    return new


def _quoted(config: Config, setting: Setting) -> str:
    value = config.value_of(setting.name)
    return "not set" if value is None else f"'{value}'"


def changes(old: Config, new: Config) -> list[Setting]:
    """The settings whose values differ, in the order of their declaration."""
    return [
        setting
        for setting in SETTINGS
        if setting.is_used and old.value_of(setting.name) != new.value_of(setting.name)
    ]


# --- checks of this host


def directory_problems(
    directory: Path, config: Config, problem_of: Callable[[Path], str]
) -> list[str]:
    """One line for each unusable directory that the files in `directory` name.

    `problem_of` says why a directory cannot be used; empty if it can.
    """
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{format_value(str(path))} {problem}; expected {setting.expected}"
        for setting, path in named_directories(config)
        if (problem := problem_of(path))
    ]


def lack_problems(config: Config) -> list[str]:
    """One line for each directory on a file system that lacks what a start needs there."""
    return [
        f"{path} {lack}; expected one that has them: configure another directory"
        for path, lack in probe.lacking(config).items()
    ]


def encryption_problems(directory: Path, config: Config) -> list[str]:
    """One line if encrypted mode is on and this host lacks software for it."""
    missing = host_checks.missing_for_encryption() if config.encrypted else ""
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: True, but {missing}"
        for setting in SETTINGS
        if setting.name == "encrypted" and missing
    ]


def remote_write_problems(directory: Path, config: Config) -> list[str]:
    """One line if an output writes to Prometheus' kind of servers, and the library for it is missing."""
    needing = [output.name for output in config.outputs if output.kind == REMOTE_WRITE]
    missing = host_checks.missing_for_remote_write() if needing else ""
    return [
        f"{directory / AGENT_FILE}: {PROGRAM}: outputs: {needing[0]}: kind: {REMOTE_WRITE}, but {missing}"
        for _ in needing[:1]
        if missing
    ]


def lacking_software(directory: Path, config: Config) -> list[str]:
    """One line for each setting that needs software that this host lacks."""
    return [*encryption_problems(directory, config), *remote_write_problems(directory, config)]


def transport_problems(config: Config) -> list[TrustError]:
    """The errors of the TLS and credential files of all outputs. No server is contacted."""
    found: dict[tuple[str, ...], TrustError] = {}
    for output in config.outputs:
        for problem in (*credential_problems(output.trust), *conflicting_settings(output)):
            problem.setting = setting_of(config, output, problem.setting)
            # Outputs may share the files of the top level.
            found.setdefault((problem.setting, str(problem.path), problem.wrong), problem)
    return list(found.values())


def transport_file_problems(directory: Path, config: Config) -> list[str]:
    """`transport_problems` as lines that name the setting in the files in `directory`."""
    return _lines(directory, transport_problems(config))


def _lines(directory: Path, errors: Sequence[TrustError]) -> list[str]:
    return [
        f"{directory / setting.file}: {setting.section}: {error.setting}: "
        f"{format_value(str(error.path))} {error.wrong}; expected {error.expected}"
        for error in errors
        for setting in SETTINGS
        if setting.name == error.setting.partition(":")[0]
    ]


def trust_problems(
    directory: Path, config: Config, user: int, reported: Collection[Path] = ()
) -> list[str]:
    """One line for each file or directory that other users than root and `user` could change.

    That is the configuration, what its settings name except the paths in `reported`, and the agent's own
    files.
    """
    errors = [e for e in ways.setting_problems(config, user) if e.path not in reported]
    return [
        *ways.configuration_problems(directory, user),
        *_lines(directory, errors),
        *ways.file_problems(config, user, [*reported, *(Path(str(e.path)) for e in errors)]),
    ]


def named_directories(config: Config) -> list[tuple[Setting, Path]]:
    """The directories that the agent writes to, with the settings that name them.

    A directory that is only the default of an optional setting is listed once, by the required one.
    """
    return [
        (setting, path)
        for setting in SETTINGS
        if setting.is_written_to
        for path in [getattr(config, setting.name)]
        if setting.is_required or path != config.daemon_directory
    ]


# --- reading the files


@dataclass(frozen=True, slots=True)
class Found:
    """One setting as it is configured.

    `path` is the file that it was looked up in. `given` is its value in the file, redacted, or its
    default if the file does not set it (`is_set` is false). `value` is the checked value, or None if
    there is a problem with it.
    """

    setting: Setting
    path: Path
    given: object
    is_set: bool
    value: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """All settings as configured; `found` is empty if a file could not be read.

    `problems` has one line for each problem; `notes` tell of settings that have no effect.
    """

    found: tuple[Found, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by setting name."""
        return {found.setting.name: found.value for found in self.found}


def read_within(directory: Path, read_s: float = _READ_S) -> Reading:
    """Read the files in `directory`. Raises `ConfigError` also if that takes more than `read_s`."""
    limited: TimeLimited[Path, Reading] = TimeLimited("configuration", read_files, read_s)
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        raise ConfigError([f"{directory}: {error}; expected files that can be read"]) from error


def read_files(directory: Path) -> Reading:
    """Read and check the files in `directory`; the result holds any problems with them.

    Raises `ConfigError` only if the directory does not exist or is not accessible.
    """
    _check_directory_exists(directory)
    return _read_all(directory)


def _check_directory_exists(directory: Path) -> None:
    try:
        is_there = directory.is_dir()
    except PermissionError as error:
        problem = f"{where_and_why(error)}; expected files that can be read"
        raise ConfigError([problem]) from error
    if not is_there:
        raise ConfigError(
            [
                f"{directory}: no such directory; expected the one that {VARIABLE} names, "
                f"or {DEFAULT_DIRECTORY} where that is not set"
            ]
        )


def _read_all(directory: Path) -> Reading:
    """Read and check the files in `directory`; change nothing."""
    problems: list[str] = []
    files = {name: read_file(directory / name, problems) for name in (SHARED_FILE, AGENT_FILE)}
    later_path = directory / LATER_SHARED_FILE
    later = read_file(later_path, problems, optional=True)
    if problems:
        return Reading((), tuple(problems))
    found = [
        read_setting(setting, later_path, later, problems)
        if setting.file == SHARED_FILE and setting.section == SERVER and SERVER in later
        else read_setting(setting, directory / setting.file, files[setting.file], problems)
        for setting in SETTINGS
    ]
    problems += _unknown(directory / AGENT_FILE, files[AGENT_FILE])
    all_files = {**files, LATER_SHARED_FILE: later}
    notes = [f"{directory}/{line}" for line in misplaced_settings(all_files)]
    values = Reading(tuple(found), ()).values
    notes += [f"{directory / AGENT_FILE}: {PROGRAM}: {line}" for line in unused_settings(values)]
    if SERVER in later and SERVER in files[SHARED_FILE]:
        notes.append(
            f"{directory / SHARED_FILE}: {SERVER} is ignored: {later_path} has this section too"
        )
    return Reading(tuple(found), tuple(problems), tuple(notes))


def read_file(path: Path, problems: list[str], *, optional: bool = False) -> Sections:
    """Return the sections of one file; add a problem with the file as a whole to `problems`."""
    try:
        return read_sections(path)
    except FileNotFoundError:
        if not optional:
            problems.append(
                f"{path}: no such file; expected what --sample-config --file {path.name} prints"
            )
    except ConfigError as error:
        problems += error.problems
    return {}


def read_setting(setting: Setting, path: Path, sections: Sections, problems: list[str]) -> Found:
    """Look up and check one setting in the sections of the file at `path`.

    Adds a problem with it to `problems`.
    """
    section = sections.get(setting.section, {})
    if "" in section:  # the section is a plain value
        what = f"{setting.section}: is {format_value(section[''])}; expected settings below it"
        if f"{path}: {what}" not in problems:
            problems.append(f"{path}: {what}")
        return Found(setting, path, None, is_set=False)
    given = section.get(setting.name)
    is_set = given is not None
    if not is_set and setting.is_required:
        problems.append(
            f"{path}: {setting.section}: {setting.name} is not set; expected {setting.expected}"
        )
        return Found(setting, path, None, is_set=False)
    given = given if is_set else setting.default
    try:
        return Found(setting, path, setting.shown(given), is_set, setting.check(given))
    except InvalidPartsError as error:
        start = f"{path}: {setting.section}: {setting.name}"
        problems += [f"{start}: {_part_line(part)}" for part in error.parts]
        return Found(setting, path, setting.shown(given), is_set)
    except (ValueError, OverflowError) as error:
        invalid = (
            error
            if isinstance(error, InvalidPartError)
            else InvalidPartError(given, setting.expected)
        )
        text = NOT_SHOWN if setting.hides else format_value(setting.shown(invalid.given))
        expected = f"{invalid.expected}{_notation_hint(setting.check, given)}"
        problems.append(f"{path}: {setting.section}: {setting.name}: {text}; expected {expected}")
        return Found(setting, path, NOT_SHOWN if setting.hides else setting.shown(given), is_set)


def _part_line(part: InvalidPart) -> str:
    """What is wrong with a part of a value, and what was expected."""
    key = f"{_format_name(part.key)}: " if part.key else ""
    return f"{part.where}: {key}{part.wrong or format_value(part.given)}; expected {part.expected}"


def _unknown(path: Path, sections: Sections) -> list[str]:
    """Report unknown names in the agent's own file: most likely typos."""
    ours = [setting for setting in SETTINGS if setting.file == AGENT_FILE]
    section_names = {setting.section for setting in ours}
    known = [setting.name for setting in ours]
    problems = [
        f"{path}: {_format_name(name)}: unknown section; expected {' or '.join(sorted(section_names))}"
        for name in sections
        if name not in section_names
    ]
    for section in section_names:
        problems += [
            f"{path}: {section}: {_format_name(key)}: unknown setting; "
            f"expected {_expected_setting(key, known)}"
            for key in sections.get(section, {})
            if key and key not in known
        ]
    return problems


def _expected_setting(key: str, known: Sequence[str]) -> str:
    """The most similar setting, or the command that prints all of them: they fill a screen."""
    similar = get_close_matches(key.lower(), known, 1)
    return similar[0] if similar else f"one that --sample-config --file {AGENT_FILE} prints"


def _format_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _VALUE_IN_MESSAGE else format_value(name)


def format_value(value: object) -> str:
    """A value as a message shows it: redacted, on one line, and cut if it is long."""
    text = repr(redacted(value))
    return text if len(text) <= _VALUE_IN_MESSAGE else f"{text[:_VALUE_IN_MESSAGE]}…"


def _notation_hint(check: Callable[[object], object], given: object) -> str:
    """How to write `given`, which `check` refused, if only its notation is wrong; else empty."""
    if _is_accepted(check, _map_scalars(unquoted, given)):
        return ", without quotes"
    if _is_accepted(check, _map_scalars(plain_decimal, given)):
        return ", in plain decimals"
    return ""


def _is_accepted(check: Callable[[object], object], value: object) -> bool:
    try:
        check(value)
    except (ValueError, OverflowError):
        return False
    return True


def _map_scalars(change: Callable[[object], object], value: object) -> object:
    """The value with each scalar in it changed."""
    if isinstance(value, list):
        return [_map_scalars(change, one) for one in value]
    if isinstance(value, dict):
        return {name: _map_scalars(change, one) for name, one in value.items()}
    return change(value)

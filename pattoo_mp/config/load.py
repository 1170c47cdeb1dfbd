"""What to say of how a value is to be written, where its notation alone is wrong: pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import host_checks
from pattoo_mp.config.consistency import contradictory_settings, misplaced, unused_settings
from pattoo_mp.config.secrets import credential_problems
from pattoo_mp.config.settings import AGENT_FILE, LATER_SHARED_FILE, SERVER, SETTINGS, SHARED_FILE
from pattoo_mp.config.validators import UnfitError
from pattoo_mp.config.values import FIELDS, Config
from pattoo_mp.config.yaml_files import (
    NOT_SHOWN,
    Sections,
    meant,
    read_sections,
    redacted,
    unquoted,
)
from pattoo_mp.errors import ConfigError, TrustError, where_and_why
from pattoo_mp.model import PROGRAM
from pattoo_mp.paths import DEFAULT_DIRECTORY, VARIABLE
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pattoo_mp.config.settings import Setting


def hint(check: Callable[[object], object], given: object) -> str:
    """To follow what `check` expects of `given`, which it has refused; empty if there is no hint."""
    if _would_take(check, _each(unquoted, given)):
        return ", without quotes"
    return ", in plain decimals" if _would_take(check, _each(meant, given)) else ""


def _would_take(check: Callable[[object], object], value: object) -> bool:
    try:
        check(value)
    except (ValueError, OverflowError):
        return False
    return True


def _each(change: Callable[[object], object], value: object) -> object:
    """The same value with each scalar in it changed."""
    if isinstance(value, list):
        return [_each(change, one) for one in value]
    if isinstance(value, dict):
        return {name: _each(change, one) for name, one in value.items()}
    return change(value)


# Reads the configuration files against the declared settings, and keeps where each value is from.

_VALUE_IN_MESSAGE: Final = 60


@dataclass(frozen=True, slots=True)
class Found:
    """One setting as it is configured.

    `given` is what the file at `path` says, as it may be shown, or the default if it says nothing
    (`is_set` is false). `value` is that, checked; None where there is a problem with it.
    """

    setting: Setting
    path: Path
    given: object
    is_set: bool
    value: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """All settings as configured; nothing is `found` where a file could not be read.

    `problems` has a line for each: file, section, key, value and what is expected. `notes` say
    what is no problem, but may be a surprise.
    """

    found: tuple[Found, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by the names of their settings."""
        return {found.setting.name: found.value for found in self.found}


def read_directory(directory: Path) -> Reading:
    """Read and check the files in `directory`; touch nothing."""
    problems: list[str] = []
    files = {name: read_file(directory / name, problems) for name in (SHARED_FILE, AGENT_FILE)}
    later_path = directory / LATER_SHARED_FILE
    later = read_file(later_path, problems, optional=True)
    if problems:
        return Reading((), tuple(problems))
    found = [
        find(setting, later_path, later, problems)
        if setting.file == SHARED_FILE and setting.section == SERVER and SERVER in later
        else find(setting, directory / setting.file, files[setting.file], problems)
        for setting in SETTINGS
    ]
    problems += _unknown(directory / AGENT_FILE, files[AGENT_FILE])
    notes = [f"{directory}/{line}" for line in misplaced({**files, LATER_SHARED_FILE: later})]
    values = Reading(tuple(found), ()).values
    notes += [f"{directory / AGENT_FILE}: {PROGRAM}: {line}" for line in unused_settings(values)]
    if SERVER in later and SERVER in files[SHARED_FILE]:
        notes.append(
            f"{directory / SHARED_FILE}: {SERVER} does not count: {later_path} has that section"
        )
    return Reading(tuple(found), tuple(problems), tuple(notes))


def read_file(path: Path, problems: list[str], *, optional: bool = False) -> Sections:
    """The sections of one file; what is wrong with it as a whole is added to `problems`."""
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


def find(setting: Setting, path: Path, sections: Sections, problems: list[str]) -> Found:
    """One setting in the sections of the file at `path`; a problem is added to `problems`."""
    section = sections.get(setting.section, {})
    if "" in section:
        what = f"{setting.section}: is {shown(section[''])}; expected settings below it"
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
        return Found(setting, path, redacted(given), is_set, setting.check(given))
    except (ValueError, OverflowError) as error:
        wrong = error if isinstance(error, UnfitError) else UnfitError(given, setting.expected)
        said = NOT_SHOWN if setting.hides else shown(wrong.given)
        expected = f"{wrong.expected}{hint(setting.check, given)}"
        problems.append(f"{path}: {setting.section}: {setting.name}: {said}; expected {expected}")
        return Found(setting, path, NOT_SHOWN if setting.hides else redacted(given), is_set)


def _unknown(path: Path, sections: Sections) -> list[str]:
    """Name what does not belong into the agent's own file: most often a slip of the pen."""
    ours = [setting for setting in SETTINGS if setting.file == AGENT_FILE]
    section_names = {setting.section for setting in ours}
    known = [setting.name for setting in ours]
    problems = [
        f"{path}: {_shown_name(name)}: unknown section; expected {' or '.join(sorted(section_names))}"
        for name in sections
        if name not in section_names
    ]
    for section in section_names:
        problems += [
            f"{path}: {section}: {_shown_name(key)}: unknown setting; "
            f"expected {_instead_of(key, known)}"
            for key in sections.get(section, {})
            if key and key not in known
        ]
    return problems


def _instead_of(key: str, known: Sequence[str]) -> str:
    """The setting that was most likely meant, or the way to all of them: they are a screenful."""
    near = get_close_matches(key.lower(), known, 1)
    return near[0] if near else f"one that --sample-config --file {AGENT_FILE} prints"


def _shown_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _VALUE_IN_MESSAGE else shown(name)


def shown(value: object) -> str:
    """A value as a message shows it: on one line, not too long, and with no password of a URL's."""
    text = repr(redacted(value))
    return text if len(text) <= _VALUE_IN_MESSAGE else f"{text[:_VALUE_IN_MESSAGE]}…"


# Reads the configuration, once, and gives it as a `Config`. All problems are told together.


def load(directory: Path) -> Config:
    """Read and check the files in `directory` and create the directories they name.

    Raises `ConfigError` with a line for each problem: file, key, value and what is expected.
    """
    config = check(directory)
    credential_problems = unusable(directory, config, host_checks.make_directory)
    credential_problems += [*lacking(directory, config), *untrusted(directory, config)]
    if credential_problems:
        raise ConfigError(credential_problems)
    return config


def check(directory: Path) -> Config:
    """Read and check the files in `directory`; touch nothing. Raises `ConfigError`."""
    return config_of(read_files(directory))


def read_files(directory: Path) -> Reading:
    """What the files in `directory` say, be it right or wrong.

    Raises `ConfigError` only if there is no such directory, or none that we may see.
    """
    _must_be_there(directory)
    return read_directory(directory)


def config_of(reading: Reading) -> Config:
    """The settings of files that are in order. Raises `ConfigError` if there are problems."""
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


def running_directory(directory: Path) -> Path:
    """`system_daemon_directory` alone: enough to find, and to stop, an agent that runs.

    Its other settings may be broken by now. Raises `ConfigError`.
    """
    _must_be_there(directory)
    credential_problems: list[str] = []
    path = directory / SHARED_FILE
    sections = read_file(path, credential_problems)
    found = {
        setting.name: find(setting, path, sections, credential_problems).value
        for setting in SETTINGS
        if setting.name in {"daemon_directory", "system_daemon_directory"}
        and not credential_problems
    }
    if credential_problems:
        raise ConfigError(credential_problems)
    return Path(str(found["system_daemon_directory"] or found["daemon_directory"]))


def unusable(directory: Path, config: Config, why: Callable[[Path], str]) -> list[str]:
    """A line for each directory that the files in `directory` name and that cannot be used.

    `why` says it of one; empty if it can be used.
    """
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{shown(str(path))} {problem}; expected {setting.expected}"
        for setting, path in named_directories(config)
        if (problem := why(path))
    ]


def lacking(directory: Path, config: Config) -> list[str]:
    """A line if this host lacks what the files in `directory` ask for."""
    missing = host_checks.missing_for_encryption() if config.encrypted else ""
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: True, but {missing}"
        for setting in SETTINGS
        if setting.name == "encrypted" and missing
    ]


def transport_problems(config: Config) -> list[TrustError]:
    """What is wrong with the way to the servers, as far as it can be seen from here."""
    return [*credential_problems(config.trust), *contradictory_settings(config)]


def untrusted(directory: Path, config: Config) -> list[str]:
    """A line for each file of the transport's that the files in `directory` name and that is bad."""
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{shown(str(problem.path))} {problem.wrong}; expected {problem.expected}"
        for problem in transport_problems(config)
        for setting in SETTINGS
        if setting.name == problem.setting
    ]


def named_directories(config: Config) -> list[tuple[Setting, Path]]:
    """The directories that the agent writes to, with the settings that name them.

    A default that is another setting's directory is looked at as that one.
    """
    return [
        (setting, path)
        for setting in SETTINGS
        if setting.is_written_to
        for path in [getattr(config, setting.name)]
        if setting.is_required or path != config.daemon_directory
    ]


def _must_be_there(directory: Path) -> None:
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


# A configuration in the place of the one that is in force: what changes, and whether it may.


def read_anew(directory: Path, running: Config) -> Config:
    """Read and check the files in `directory` for an agent that runs with `running`.

    Touches nothing. Raises `ConfigError` with the lines of a start, or with one for each setting
    that would need a restart, or for what this host lacks: then none of the others is to be changed.
    A file that a setting names is looked at too.
    """
    new = check(directory)
    problems = [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{_said(new, setting)}; expected {_said(running, setting)}, "
        f"with which the agent runs: a change needs a restart"
        for setting in changes(running, new)
        if setting.needs_restart
    ] + [*lacking(directory, new), *untrusted(directory, new)]
    if problems:
        raise ConfigError(problems)
    return new


def _said(config: Config, setting: Setting) -> str:
    value = config.value_of(setting.name)
    return "not set" if value is None else f"'{value}'"


def changes(old: Config, new: Config) -> list[Setting]:
    """The settings whose values differ, in the order of their declaration."""
    return [
        setting
        for setting in SETTINGS
        if setting.is_used and old.value_of(setting.name) != new.value_of(setting.name)
    ]


# The configuration, read within a limited time: it may lie on a file system that hangs.

_READ_S: Final = 10.0


def read_within(directory: Path, read_s: float = _READ_S) -> Reading:
    """What the files in `directory` say. Raises `ConfigError` if they cannot be had in `read_s`."""
    limited: TimeLimited[Path, Reading] = TimeLimited("configuration", read_files, read_s)
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        raise ConfigError([f"{directory}: {error}; expected files that can be read"]) from error

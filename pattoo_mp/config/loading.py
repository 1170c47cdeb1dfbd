"""Reads the configuration, once, and gives it as a `Config`. All problems are told together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pattoo_mp.config import directories, encryption
from pattoo_mp.config.contradictions import contradictions
from pattoo_mp.config.distrust import problems
from pattoo_mp.config.home import DEFAULT_DIRECTORY, VARIABLE
from pattoo_mp.config.reading import Reading, find, read, read_file, shown
from pattoo_mp.config.settings import SETTINGS, SHARED_FILE
from pattoo_mp.config.values import FIELDS, Config
from pattoo_mp.errors import ConfigError, TrustError, where_and_why

if TYPE_CHECKING:
    from collections.abc import Callable

    from pattoo_mp.config.setting import Setting


def load(directory: Path) -> Config:
    """Read and check the files in `directory` and create the directories they name.

    Raises `ConfigError` with a line for each problem: file, key, value and what is expected.
    """
    config = check(directory)
    problems = unusable(directory, config, directories.make)
    problems += [*lacking(directory, config), *untrusted(directory, config)]
    if problems:
        raise ConfigError(problems)
    return config


def check(directory: Path) -> Config:
    """Read and check the files in `directory`; touch nothing. Raises `ConfigError`."""
    return config_of(look(directory))


def look(directory: Path) -> Reading:
    """What the files in `directory` say, be it right or wrong.

    Raises `ConfigError` only if there is no such directory, or none that we may see.
    """
    _must_be_there(directory)
    return read(directory)


def config_of(reading: Reading) -> Config:
    """The settings of files that are in order. Raises `ConfigError` if there are problems."""
    if reading.problems:
        raise ConfigError(reading.problems)
    values = reading.values
    if values["system_daemon_directory"] is None:
        values["system_daemon_directory"] = values["daemon_directory"]
    return Config(**{FIELDS.get(name, name): value for name, value in values.items()})


def running_directory(directory: Path) -> Path:
    """`system_daemon_directory` alone: enough to find, and to stop, an agent that runs.

    Its other settings may be broken by now. Raises `ConfigError`.
    """
    _must_be_there(directory)
    problems: list[str] = []
    path = directory / SHARED_FILE
    sections = read_file(path, problems)
    found = {
        setting.name: find(setting, path, sections, problems).value
        for setting in SETTINGS
        if setting.name in {"daemon_directory", "system_daemon_directory"} and not problems
    }
    if problems:
        raise ConfigError(problems)
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
    missing = encryption.missing() if config.encrypted else ""
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: True, but {missing}"
        for setting in SETTINGS
        if setting.name == "encrypted" and missing
    ]


def distrust(config: Config) -> list[TrustError]:
    """What is wrong with the way to the servers, as far as it can be seen from here."""
    return [*problems(config.trust), *contradictions(config)]


def untrusted(directory: Path, config: Config) -> list[str]:
    """A line for each file of the transport's that the files in `directory` name and that is bad."""
    return [
        f"{directory / setting.file}: {setting.section}: {setting.name}: "
        f"{shown(str(problem.path))} {problem.wrong}; expected {problem.expected}"
        for problem in distrust(config)
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

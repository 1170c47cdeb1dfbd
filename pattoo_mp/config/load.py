"""Turns the configuration files into a `Config`, and checks that this host can run with it.

- `load`, `check`: for a start, with or without making the directories that the settings name.
- `check_reload`: for an agent that runs with another configuration.
- `read_system_daemon_directory`, `read_log_directory`: only what is needed to find a running agent, or its log.

All problems are reported together, in one line each. A running agent imports this module only in a
process that exits afterwards (`isolated`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pattoo_mp.config import host_checks, probe, ways
from pattoo_mp.config.consistency import conflicting_settings, setting_of
from pattoo_mp.config.layers import read_layers, read_variables
from pattoo_mp.config.reading import (
    Reading,
    format_value,
    read_files,
    read_setting,
    require_directory,
)
from pattoo_mp.config.secrets import credential_problems
from pattoo_mp.config.settings import SHARED_FILE, defaults, program_settings
from pattoo_mp.config.values import FIELDS, NO_FILES, REMOTE_WRITE, Config
from pattoo_mp.errors import ConfigError, TrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pattoo_mp.config.settings import Setting


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
    # What another program of the family has, and this one has not.
    values: dict[str, Any] = defaults() | reading.values
    if values["system_daemon_directory"] is None:
        values["system_daemon_directory"] = values["daemon_directory"]
    unused = {setting.key for setting in program_settings() if not setting.is_used}
    fields = {FIELDS.get(key, key): value for key, value in values.items() if key not in unused}
    return Config(**fields, places=_places(reading))


def _places(reading: Reading) -> dict[str, str]:
    """Where settings are, by key, other than in the file for them."""
    return {
        one.setting.key: one.place
        for one in reading.found
        if one.is_set and one.sources != (one.setting.file,)
    }


def _place(directory: Path, config: Config, setting: Setting) -> str:
    """Where a setting is, as messages begin."""
    usual = f"{directory / setting.file}: {setting.section}: {setting.name}"
    return config.places.get(setting.key, usual)


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


def read_log_directory(directory: Path) -> Path:
    """Read only `log_directory`, as `read_system_daemon_directory` reads that one, and raises."""
    if problems := ways.configuration_problems(directory):
        raise ConfigError(problems)
    return Path(str(_read_shared(directory, {"log_directory"})["log_directory"]))


def read_directories(directory: Path) -> list[Path]:
    """Read only the directories that the agent writes to; none if a file or a setting is invalid."""
    names = {setting.name for setting in program_settings() if setting.is_written_to}
    try:
        found = _read_shared(directory, names)
    except ConfigError:
        return []
    return [Path(str(value)) for value in found.values() if value]


def _read_shared(directory: Path, names: set[str]) -> dict[str, object]:
    """Read the settings `names` of the shared file. Raises `ConfigError`."""
    require_directory(directory)
    problems: list[str] = []
    variables = read_variables(problems, only=names)
    layers = read_layers(directory / SHARED_FILE, problems, variables=variables)
    found = {
        setting.name: read_setting(setting, layers, problems).value
        for setting in program_settings()
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
        f"{_place(directory, new, setting)}: "
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
    value = config.value_of(setting.key)
    return "not set" if value is None else f"'{value}'"


def changes(old: Config, new: Config) -> list[Setting]:
    """The settings whose values differ, in the order of their declaration."""
    return [
        setting
        for setting in program_settings()
        if setting.is_used and old.value_of(setting.key) != new.value_of(setting.key)
    ]


# --- checks of this host


def directory_problems(
    directory: Path, config: Config, problem_of: Callable[[Path], str]
) -> list[str]:
    """One line for each unusable directory that the files in `directory` name.

    `problem_of` says why a directory cannot be used; empty if it can.
    """
    return [
        f"{_place(directory, config, setting)}: "
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
        f"{_place(directory, config, setting)}: True, but {missing}"
        for setting in program_settings()
        if setting.name == "encrypted" and missing
    ]


def remote_write_problems(directory: Path, config: Config) -> list[str]:
    """One line if an output writes to Prometheus' kind of servers, and the library for it is missing."""
    needing = [output.name for output in config.outputs if output.kind == REMOTE_WRITE]
    missing = host_checks.missing_for_remote_write() if needing else ""
    return [
        f"{_place(directory, config, setting)}: {needing[0]}: kind: {REMOTE_WRITE}, but {missing}"
        for setting in program_settings()
        if setting.name == "outputs" and missing
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
    for target in config.targets:
        for problem in credential_problems(target.trust) if target.trust is not NO_FILES else ():
            key = "token_file" if problem.setting == "credentials_file" else problem.setting
            problem.setting = f"ip_targets: {target.name}: {key}"
            found[problem.setting, str(problem.path), problem.wrong] = problem
    return list(found.values())


def transport_file_problems(directory: Path, config: Config) -> list[str]:
    """`transport_problems` as lines that name the setting in the files in `directory`."""
    return _lines(directory, config, transport_problems(config))


def _lines(directory: Path, config: Config, errors: Sequence[TrustError]) -> list[str]:
    return [
        f"{_place(directory, config, setting)}{error.setting.removeprefix(setting.name)}: "
        f"{format_value(str(error.path))} {error.wrong}; expected {error.expected}"
        for error in errors
        for setting in program_settings()
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
        *_lines(directory, config, errors),
        *ways.file_problems(config, user, [*reported, *(Path(str(e.path)) for e in errors)]),
    ]


def named_directories(config: Config) -> list[tuple[Setting, Path]]:
    """The directories that the agent writes to, with the settings that name them.

    A directory that is only the default of an optional setting is listed once, by the required one.
    """
    return [
        (setting, path)
        for setting in program_settings()
        if setting.is_written_to
        for path in [getattr(config, setting.name)]
        if setting.is_required or path != config.daemon_directory
    ]

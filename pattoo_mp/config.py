"""Reads the configuration, once, and gives it as a `Config`. All problems are told together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pattoo_mp.errors import ConfigError
from pattoo_mp.settings import AGENT_FILE, LATER_SHARED_FILE, SETTINGS, SHARED_FILE, Missing
from pattoo_mp.yamlfile import Sections, read_sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.settings import Setting

VARIABLE = "PATTOO_CONFIGDIR"
DEFAULT_DIRECTORY = "/etc/pattoo"
_VALUE_IN_MESSAGE = 60


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, checked. `interval_ms` is `polling_interval`."""

    log_directory: Path
    cache_directory: Path
    daemon_directory: Path
    system_daemon_directory: Path
    log_level: str
    language: str
    host: str
    port: int
    interval_ms: int
    spool_max_bytes: int
    spool_max_age: int
    spool_min_free_bytes: int


def config_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """`PATTOO_CONFIGDIR`, or /etc/pattoo where that is not set; always absolute."""
    return Path(environment.get(VARIABLE) or DEFAULT_DIRECTORY).expanduser().absolute()


def load(directory: Path) -> Config:
    """Read and check the files in `directory` and create the directories they name.

    Raises `ConfigError` with a line for each problem: file, key, value and what is expected.
    """
    config = check(directory)
    problems = [
        f"{directory / setting.file}: {setting.section}: {setting.name}: {problem}; "
        f"expected {setting.expected}"
        for setting in SETTINGS
        if setting.name.endswith("_directory") and _is_own(setting.name, config)
        for problem in _unusable(getattr(config, setting.name))
    ]
    if problems:
        raise ConfigError(problems)
    return config


def check(directory: Path) -> Config:
    """Read and check the files in `directory`; touch nothing. Raises `ConfigError`."""
    _must_be_there(directory)
    problems: list[str] = []
    files = {name: _read(directory / name, problems) for name in (SHARED_FILE, AGENT_FILE)}
    later = _read(directory / LATER_SHARED_FILE, problems, optional=True)
    if problems:
        raise ConfigError(problems)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        file = setting.file
        sections = files[file]
        if (
            file == SHARED_FILE
            and setting.section == "pattoo_agent_api"
            and setting.section in later
        ):
            file, sections = LATER_SHARED_FILE, later
        values[setting.name] = _value(setting, directory / file, sections, problems)
    problems += _unknown(directory / AGENT_FILE, files[AGENT_FILE])
    if problems:
        raise ConfigError(problems)
    if values["system_daemon_directory"] is None:
        values["system_daemon_directory"] = values["daemon_directory"]
    return Config(
        **{name: values[name] for name in Config.__slots__ if name in values},
        host=values["ip_address"],
        port=values["ip_bind_port"],
        interval_ms=values["polling_interval"],
    )


def running_directory(directory: Path) -> Path:
    """`system_daemon_directory` alone: enough to find, and to stop, an agent that runs.

    Its other settings may be broken by now. Raises `ConfigError`.
    """
    _must_be_there(directory)
    problems: list[str] = []
    path = directory / SHARED_FILE
    sections = _read(path, problems)
    found = {
        setting.name: _value(setting, path, sections, problems)
        for setting in SETTINGS
        if setting.name in {"daemon_directory", "system_daemon_directory"} and not problems
    }
    if problems:
        raise ConfigError(problems)
    return Path(str(found["system_daemon_directory"] or found["daemon_directory"]))


def _must_be_there(directory: Path) -> None:
    if not directory.is_dir():
        raise ConfigError(
            [
                f"{directory}: no such directory; expected the one that {VARIABLE} names, "
                f"or {DEFAULT_DIRECTORY} where that is not set"
            ]
        )


def _read(path: Path, problems: list[str], *, optional: bool = False) -> Sections:
    try:
        return read_sections(path)
    except FileNotFoundError:
        if not optional:
            problems.append(f"{path}: no such file; expected a configuration file of pattoo")
    except ConfigError as error:
        problems += error.problems
    return {}


def _value(setting: Setting, path: Path, sections: Sections, problems: list[str]) -> object:
    section = sections.get(setting.section, {})
    if "" in section:
        what = f"{setting.section}: is {_shown(section[''])}; expected settings below it"
        if f"{path}: {what}" not in problems:
            problems.append(f"{path}: {what}")
        return None
    value = section.get(setting.name)
    if value is None:
        if setting.default is not Missing.REQUIRED:
            return setting.default
        problems.append(
            f"{path}: {setting.section}: {setting.name} is not set; expected {setting.expected}"
        )
        return None
    try:
        return setting.check(value)
    except (ValueError, OverflowError):
        problems.append(
            f"{path}: {setting.section}: {setting.name}: {_shown(value)}; "
            f"expected {setting.expected}"
        )
        return None


def _unknown(path: Path, sections: Sections) -> list[str]:
    """Name what does not belong into the agent's own file: most often a slip of the pen."""
    ours = [setting for setting in SETTINGS if setting.file == AGENT_FILE]
    section_names = {setting.section for setting in ours}
    known = {setting.name for setting in ours} | {""}
    problems = [
        f"{path}: {_shown_name(name)}: unknown section; expected {' or '.join(sorted(section_names))}"
        for name in sections
        if name not in section_names
    ]
    for section in section_names:
        problems += [
            f"{path}: {section}: {_shown_name(key)}: unknown setting; "
            f"expected {' or '.join(setting.name for setting in ours)}"
            for key in sections.get(section, {})
            if key not in known
        ]
    return problems


def _is_own(name: str, config: Config) -> bool:
    """Whether a directory stands for itself, and not for another that is looked at anyway."""
    is_default = config.system_daemon_directory == config.daemon_directory
    return name != "system_daemon_directory" or not is_default


def _unusable(path: Path) -> list[str]:
    """Create a directory that a setting names. Why it cannot be used, if it cannot."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return [f"{_shown(str(path))} cannot be made ({error.strerror})"]
    if not os.access(path, os.W_OK | os.X_OK):
        return [f"{_shown(str(path))} cannot be written to"]
    return []


def _shown_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _VALUE_IN_MESSAGE else _shown(name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_IN_MESSAGE else f"{text[:_VALUE_IN_MESSAGE]}…"

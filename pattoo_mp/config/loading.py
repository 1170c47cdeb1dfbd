"""Reads the configuration, once, and gives it as a `Config`. All problems are told together."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pattoo_mp.catalogue import by_interval, names_on
from pattoo_mp.config import addresses, directories, encryption
from pattoo_mp.config.contradictions import contradictions
from pattoo_mp.config.reading import Reading, find, read, read_file, shown
from pattoo_mp.config.settings import SETTINGS, SHARED_FILE
from pattoo_mp.config.trust import Trust
from pattoo_mp.errors import ConfigError, TrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pattoo_mp.config.setting import Setting

VARIABLE = "PATTOO_CONFIGDIR"
DEFAULT_DIRECTORY = "/etc/pattoo"
#: The largest post_jitter (s) that is not asked for, and how many of it fit an interval: chosen by
#: simulation (docs/fleet.md).
_USUAL_JITTER_S = 60.0
_JITTERS = 4
#: Fields of a `Config` that do not have the name of their setting.
_FIELDS = {"ip_address": "host", "ip_bind_port": "port", "polling_interval": "interval_ms"}
#: How the names of settings end that are paths.
_PATHS = ("_directory", "_file", "_path")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, checked. `host`, `port` and `interval_ms` are what `_FIELDS` says."""

    log_directory: Path
    cache_directory: Path
    daemon_directory: Path
    system_daemon_directory: Path
    log_level: str
    language: str
    host: str
    port: int
    interval_ms: int
    intervals: dict[str, int]
    encrypted: bool
    post_jitter: float | None
    spool_max_bytes: int
    spool_max_age: int
    spool_min_free_bytes: int
    log_format: str
    log_max_bytes: int
    log_backups: int
    families: tuple[str, ...]
    families_off: tuple[str, ...]
    textfile_directory: Path | None
    hostname: str | None
    procfs_path: Path
    sysfs_path: Path
    rootfs_path: Path
    mounts_include: tuple[str, ...]
    mounts_exclude: tuple[str, ...]
    filesystems_include: tuple[str, ...]
    filesystems_exclude: tuple[str, ...]
    disks_include: tuple[str, ...]
    disks_exclude: tuple[str, ...]
    interfaces_include: tuple[str, ...]
    interfaces_exclude: tuple[str, ...]
    temperatures_include: tuple[str, ...]
    temperatures_exclude: tuple[str, ...]
    top_processes: int
    servers: tuple[str, ...]
    failover_after: float
    tls_ca_file: Path | None
    tls_certificate_file: Path | None
    tls_key_file: Path | None
    credentials_file: Path | None
    proxy: str | None
    proxy_credentials_file: Path | None

    @property
    def groups(self) -> dict[int, tuple[str, ...]]:
        """The families that are polled together, by their interval (ms), the shortest first."""
        names = names_on(self.families, self.families_off)
        return by_interval(names, self.interval_ms, self.intervals)

    @property
    def shortest_s(self) -> float:
        """The shortest interval in force, in seconds."""
        return min(self.groups) / 1000

    @property
    def jitter_s(self) -> float:
        """`post_jitter`, or what follows from the shortest interval; a post is due by its end."""
        if self.post_jitter is not None:
            return min(self.post_jitter, self.shortest_s)
        return min(self.shortest_s / _JITTERS, _USUAL_JITTER_S)

    @property
    def server_urls(self) -> tuple[str, ...]:
        """`servers`, or what `host` and `port` name."""
        return self.servers or (addresses.url(self.host, self.port),)

    @property
    def needs_tls(self) -> bool:
        """Whether anything is spoken to with TLS."""
        return any(map(addresses.is_https, [*self.server_urls, self.proxy or ""]))

    @property
    def trust(self) -> Trust:
        """What the way to the server takes."""
        return Trust(
            self.tls_ca_file,
            self.tls_certificate_file,
            self.tls_key_file,
            self.credentials_file,
            self.proxy_credentials_file,
        )

    def value_of(self, setting: str) -> object:
        """The value of a setting, by its name in the files."""
        return getattr(self, _FIELDS.get(setting, setting))

    def effective(self, setting: str) -> object:
        """What the agent goes by: where a default follows from other settings, what follows."""
        return self.jitter_s if setting == "post_jitter" else self.value_of(setting)

    def fields(self) -> dict[str, Any]:
        """All of it as a message carries it; `of` reads it."""
        return {name: _as_sent(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Config:
        """Read what `fields` made."""
        paths = {n: Path(path) for n, path in fields.items() if path and n.endswith(_PATHS)}
        lists = {name: tuple(words) for name, words in fields.items() if isinstance(words, list)}
        return cls(**{**fields, **paths, **lists})


def config_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """`PATTOO_CONFIGDIR`, or /etc/pattoo where that is not set; always absolute.

    Raises `ConfigError` if it is below the home of a user that there is not.
    """
    named = environment.get(VARIABLE) or DEFAULT_DIRECTORY
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError([f"{VARIABLE}: {named}: {error}; expected a directory"]) from error


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

    Raises `ConfigError` only if there is no such directory.
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
    return Config(**{_FIELDS.get(name, name): value for name, value in values.items()})


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
    return [*config.trust.problems(), *contradictions(config)]


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
    if not directory.is_dir():
        raise ConfigError(
            [
                f"{directory}: no such directory; expected the one that {VARIABLE} names, "
                f"or {DEFAULT_DIRECTORY} where that is not set"
            ]
        )


def _as_sent(value: object) -> object:
    """A value as the message has it: a path is text, and the words of a tuple are a list."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value

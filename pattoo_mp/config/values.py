"""The values of all settings, checked: what the agent goes by.

It is all of the configuration that the agent's processes hold. What reads and checks files is in
`loading`, and in none of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.catalogue import by_interval, names_on
from pattoo_mp.config import urls
from pattoo_mp.config.trust import Trust
from pattoo_mp.spacing import commit_s, spacing_s

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The largest post_jitter (s) that is not asked for, and how many of it fit an interval: chosen by
#: simulation (docs/fleet.md).
_USUAL_JITTER_S = 60.0
_JITTERS = 4
#: The field of a `Config` that does not have the name of its setting: nor has it its unit.
FIELDS: Final = {"polling_interval": "interval_ms"}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, checked, by their names; `interval_ms` is what `FIELDS` says."""

    log_directory: Path
    cache_directory: Path
    daemon_directory: Path
    system_daemon_directory: Path
    log_level: str
    language: str
    ip_address: str
    ip_bind_port: int
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
    def spacing_s(self) -> float:
        """How far apart posts are at the least, in seconds."""
        return spacing_s(self.shortest_s)

    @property
    def commit_s(self) -> float:
        """How far apart the commits of the spool are at the least, in seconds."""
        return commit_s(self.shortest_s)

    @property
    def server_urls(self) -> tuple[str, ...]:
        """`servers`, or what `ip_address` and `ip_bind_port` name."""
        return self.servers or (urls.url(self.ip_address, self.ip_bind_port),)

    @property
    def needs_tls(self) -> bool:
        """Whether anything is spoken to with TLS."""
        return any(map(urls.is_https, [*self.server_urls, self.proxy or ""]))

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
        return getattr(self, FIELDS.get(setting, setting))

    def effective(self, setting: str) -> object:
        """What the agent goes by: where a default follows from other settings, what follows."""
        return self.jitter_s if setting == "post_jitter" else self.value_of(setting)

    def fields(self) -> dict[str, Any]:
        """All of it as a message carries it; `of` reads it."""
        return {name: _as_sent(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Config:
        """Read what `fields` made."""
        paths = {name: Path(path) for name, path in sent.items() if path and name in _PATHS}
        lists = {name: tuple(words) for name, words in sent.items() if isinstance(words, list)}
        return cls(**{**sent, **paths, **lists})


#: Fields that are paths, by their declaration.
_PATHS: Final = {field.name for field in fields(Config) if "Path" in str(field.type)}


def _as_sent(value: object) -> object:
    """A value as the message has it: a path is text, and the words of a tuple are a list."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value

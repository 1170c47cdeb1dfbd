"""What vouches for a server to us, and for us to a server: the files, never what is in them."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config.families import by_interval, names_on

if TYPE_CHECKING:
    from collections.abc import Mapping


#: For each file its device, its number, and when it was changed; None where it is not there.
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Files: the CAs that we trust, our certificate and its key, and what else names us, and to whom."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    credentials_file: Path | None = None
    proxy_credentials_file: Path | None = None

    def stamp(self) -> Stamp:
        """What is different once one of the files was replaced, or written to."""
        return tuple(_stamp(path) for path in astuple(self) if path is not None)


NO_FILES: Final = Trust()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


# What the URLs of servers and proxies say, once they were checked: pure.
#
# The agent's processes need no more, and `addresses`, which checks them, takes half a megabyte.

#: What a pattoo server's own paths begin with; a prefix comes before it.
API: Final = "/pattoo/api/v1/agent/"

#: No proxy, whatever the environment names.
DIRECT: Final = "direct"


_PORTS: Final = {"http": 80, "https": 443}


def url(address: str, number: int) -> str:
    """The URL of the server of that address and port, in plain HTTP."""
    return f"http://{in_url(address)}:{number}"


def in_url(address: str) -> str:
    """A checked host name or address as a URL has it: RFC 3986 for IPv6, RFC 6874 for its interface."""
    return f"[{address.replace('%', '%25')}]" if ":" in address else address


def is_https(server: str) -> bool:
    """Whether a checked URL asks for TLS."""
    return server.startswith("https:")


def place(server: str) -> tuple[str, int]:
    """Host and port of a checked URL."""
    scheme, _, rest = server.partition("://")
    where = rest.partition("/")[0]
    host, colon, number = where.rpartition(":")
    if not colon or where.endswith("]"):
        return where.strip("[]"), _PORTS[scheme]
    return host.strip("[]"), int(number)


# How far apart posts and commits are: what the uploader goes by, and what control expects of it.

#: Polls that come faster share a commit, and thus an fsync. A backlog, and what was refused, is
#: posted as often as this.
LEAST_S: Final = 1.0
#: Polls that come faster than that wait for each other: twice as many in a post share its pairs.
_SHARED_S: Final = 2.0
#: The part of an interval after which the next poll may be dealt with. If it were the whole, then one
#: that came late, after an outage or on a host that stood still, would make all later ones as late.
_PART: Final = 0.9


def spacing_s(shortest_s: float) -> float:
    """The time from one post to the next at the least, where nothing is left over.

    `shortest_s` is the shortest interval in force.
    """
    return _SHARED_S if shortest_s < LEAST_S else commit_s(shortest_s)


def commit_s(shortest_s: float) -> float:
    """The time from one commit of polls to the next at the least, by the shortest interval in force."""
    return LEAST_S if shortest_s < LEAST_S else min(LEAST_S, _PART * shortest_s)


# The values of all settings, checked: what the agent goes by.
#
# It is all of the configuration that the agent's processes hold. What reads and checks files is in
# `loading`, and in none of them.

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
        return self.servers or (url(self.ip_address, self.ip_bind_port),)

    @property
    def needs_tls(self) -> bool:
        """Whether anything is spoken to with TLS."""
        return any(map(is_https, [*self.server_urls, self.proxy or ""]))

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

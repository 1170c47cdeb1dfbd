"""The checked configuration as the agent's processes hold it: `Config`, and what follows from it.

This module is all of the configuration that stays in a process. Reading and checking the files is in
`load` and the modules that it uses; they are imported only by a process that exits afterwards
(`isolated`), because they need memory that the agent would otherwise keep.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config.families import by_interval, names_on
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: The largest default of post_jitter, in seconds, and the part of the shortest interval that it is
#: otherwise. Both were chosen by simulation (docs/fleet.md).
_MAX_DEFAULT_JITTER_S: Final = 60.0
_JITTER_PART: Final = 1 / 4

#: Settings whose field in `Config` has another name, because it has another unit or is not complete.
FIELDS: Final = {"polling_interval": "interval_ms", "outputs": "given_outputs"}


#: How the names of variables of the environment begin that override settings.
VARIABLES: Final = "PATTOO_AGENT_"

#: The kinds of outputs; each is also the name of one that has no other.
PATTOO: Final = "pattoo"
REMOTE_WRITE: Final = "remote_write"
PULL: Final = "pull"
#: Where an output of kind pull listens if nothing says it.
LISTEN: Final = "127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class Output:
    """One place that polls are sent to.

    `urls` are those of its servers in order of preference; only pattoo's may be several. `families`
    are those that it gets, None for all. `named_by` are the settings that name its servers. `naming`,
    `labels` and `headers` are for remote write. `listen` and `allow` are for pull, whose one URL is its own.
    """

    kind: str
    name: str
    urls: tuple[str, ...]
    trust: Trust
    proxy: str | None = None
    families: tuple[str, ...] | None = None
    named_by: str = "servers"
    naming: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    listen: str = ""
    allow: tuple[str, ...] = ()

    @property
    def is_exposed(self) -> bool:
        """Whether others than this host can reach it, and anybody may ask."""
        return bool(self.listen) and not (
            is_loopback(self.listen) or self.allow or self.trust.tokens_file
        )

    @property
    def needs_tls(self) -> bool:
        """Whether a server or the proxy has an https URL, or it is one itself."""
        return any(map(is_https, [*self.urls, self.proxy or ""]))

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Output:
        """Make an `Output` of what `Config.fields` returned for it."""
        trust = {name: Path(path) for name, path in sent["trust"].items() if path}
        pairs = {name: tuple(map(tuple, sent[name])) for name in ("labels", "headers")}
        families = None if sent["families"] is None else tuple(sent["families"])
        whole = {
            "urls": tuple(sent["urls"]),
            "families": families,
            "trust": Trust(**trust),
            "allow": tuple(sent["allow"]),
        }
        return cls(**{**sent, **whole, **pairs})


@dataclass(frozen=True, slots=True)
class Target:
    """A spoke that a hub asks. `interval_ms` is 0 for that of the hub."""

    name: str
    ip_address: str
    ip_bind_port: int
    interval_ms: int
    tls: bool
    trust: Trust

    def sent(self) -> list[object]:
        """Return it as values for a message; `of` reads them."""
        trust = [str(path) if path else None for path in astuple(self.trust)]
        return [self.name, self.ip_address, self.ip_bind_port, self.interval_ms, self.tls, trust]

    @classmethod
    def of(cls, sent: Sequence[Any]) -> Target:
        """Make a `Target` of what `sent` returned."""
        name, address, port, interval_ms, tls, files = sent
        paths = [Path(path) if path else None for path in files]
        # Thousands of targets may have no files.
        trust = Trust(*paths) if any(paths) else NO_FILES
        return cls(name, address, port, interval_ms, tls, trust)


#: What a command prints.
PROMETHEUS: Final = "prometheus"
NAGIOS: Final = "nagios"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is run every `interval_s`, for at most `timeout_s`. `words` begin with its path.

    `form` is one of `PROMETHEUS` and `NAGIOS`; `environment` are variables beside the usual ones.
    """

    name: str
    words: tuple[str, ...]
    interval_s: float
    timeout_s: float
    form: str
    environment: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, sent: Sequence[Any]) -> Command:
        """Make a `Command` of its fields as MessagePack carries them."""
        name, words, interval_s, timeout_s, form, environment = sent
        return cls(name, tuple(words), interval_s, timeout_s, form, tuple(map(tuple, environment)))


@dataclass(frozen=True, slots=True)
class Config:
    """The checked settings by name, except for the names in `FIELDS`.

    A worker gets it in a SETTINGS message: `fields` makes the message's content, `of` reads it.
    """

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
    commands: tuple[Command, ...]
    hostname: str | None
    procfs_path: Path
    sysfs_path: Path
    rootfs_path: Path
    mounts_include: tuple[str, ...]
    mounts_exclude: tuple[str, ...]
    filesystems_include: tuple[str, ...]
    filesystems_exclude: tuple[str, ...]
    filesystems_without_device: tuple[str, ...]
    disks_include: tuple[str, ...]
    disks_exclude: tuple[str, ...]
    interfaces_include: tuple[str, ...]
    interfaces_exclude: tuple[str, ...]
    temperatures_include: tuple[str, ...]
    temperatures_exclude: tuple[str, ...]
    top_processes: int
    servers: tuple[str, ...]
    given_outputs: tuple[Output, ...]
    failover_after: float
    tls_ca_file: Path | None
    tls_certificate_file: Path | None
    tls_key_file: Path | None
    credentials_file: Path | None
    proxy: str | None
    proxy_credentials_file: Path | None
    #: Where an output of kind pull listens that does not say it; only for a spoke.
    ip_listen_address: str
    listen_port: int
    #: Whom a hub asks, and what it is called there; only for a hub.
    targets: tuple[Target, ...]
    targets_directory: Path | None
    hub_name: str | None
    #: Where a setting is, by its key, as messages begin: only of those that are not in the file for them.
    places: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def variables(self) -> list[str]:
        """The variables of the environment that override settings."""
        return sorted(place for place in self.places.values() if place.startswith(VARIABLES))

    @property
    def groups(self) -> dict[int, tuple[str, ...]]:
        """The families that are polled together, by their interval (ms), the shortest first.

        A hub has the intervals of its targets, without families.
        """
        if this_program().is_hub:
            own = {target.interval_ms or self.interval_ms for target in self.targets}
            return dict.fromkeys(sorted(own or {self.interval_ms}), ())
        names = names_on(self.families, self.families_off)
        return by_interval(names, self.interval_ms, self.intervals)

    @property
    def shortest_s(self) -> float:
        """The shortest interval in force, in seconds."""
        return min(self.groups) / 1000

    @property
    def jitter_s(self) -> float:
        """The longest delay of a post, in seconds: `post_jitter`, or its default.

        It is at most the shortest interval.
        """
        if this_program().is_hub:
            return 0.0  # its spokes are asked one after the other, so its posts are spread
        if self.post_jitter is not None:
            return min(self.post_jitter, self.shortest_s)
        return min(self.shortest_s * _JITTER_PART, _MAX_DEFAULT_JITTER_S)

    @property
    def spacing_s(self) -> float:
        """The shortest time between two posts, in seconds."""
        return spacing_s(self.shortest_s)

    @property
    def commit_s(self) -> float:
        """The shortest time between two commits of the spool, in seconds."""
        return commit_s(self.shortest_s)

    @property
    def server_urls(self) -> tuple[str, ...]:
        """`servers`, or the one that `ip_address` and `ip_bind_port` name."""
        return self.servers or (url(self.ip_address, self.ip_bind_port),)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Where polls are sent: the setting `outputs`, completed; without it, the one of this program."""
        kind = this_program().output
        given = self.given_outputs or (Output(kind, kind, (), NO_FILES),)
        return tuple(map(self._completed, given))

    def _completed(self, given: Output) -> Output:
        """Return an output with what it has from the settings of the top level, if it is pattoo's.

        No secret goes anywhere else than the setting beside it says: the credentials belong to
        `servers`, the key to the certificate, and the credentials of a proxy to `proxy`.
        """
        if given.kind == PULL:
            return self._listening(given)
        if given.kind != PATTOO:
            return replace(given, named_by="url")
        named_by = "servers" if self.servers or given.urls else "ip_address and ip_bind_port"
        own = given.trust
        has_certificate = own.certificate_file or own.key_file
        has_proxy = given.proxy or own.proxy_credentials_file
        trust = Trust(
            own.ca_file or self.tls_ca_file,
            own.certificate_file if has_certificate else self.tls_certificate_file,
            own.key_file if has_certificate else self.tls_key_file,
            own.credentials_file or (None if given.urls else self.credentials_file),
            own.proxy_credentials_file if has_proxy else self.proxy_credentials_file,
        )
        urls, proxy = given.urls or self.server_urls, given.proxy or self.proxy
        return replace(given, urls=urls, trust=trust, proxy=proxy, named_by=named_by)

    def _listening(self, given: Output) -> Output:
        """Return an output of kind pull with the address at which it listens, and the URL of that."""
        is_own = given.listen or this_program().output != PULL
        listen = given.listen or LISTEN
        if not is_own:
            listen = f"{host_in_url(self.ip_listen_address)}:{self.listen_port}"
        named_by = "listen" if is_own else "ip_listen_address and ip_bind_port"
        scheme = "https" if given.trust.certificate_file else "http"
        return replace(given, listen=listen, urls=(f"{scheme}://{listen}",), named_by=named_by)

    @property
    def heir(self) -> str:
        """The name of the output that continues where a release with one output ended."""
        return next((output.name for output in self.outputs if output.kind == PATTOO), PATTOO)

    @property
    def needs_tls(self) -> bool:
        """Whether a server or a proxy of an output has an https URL."""
        return any(output.needs_tls for output in self.outputs)

    @property
    def trust(self) -> Trust:
        """The TLS and credential files of the transport."""
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
        """The value in force of a setting, also where its default follows from other settings."""
        if setting == "outputs":
            return ", ".join(output.name for output in self.outputs)
        if setting == "commands":
            return ", ".join(command.name for command in self.commands)
        return self.jitter_s if setting == "post_jitter" else self.value_of(setting)

    def fields(self) -> dict[str, Any]:
        """All fields, as values for a message; `of` reads them."""
        shallow = {field.name: getattr(self, field.name) for field in fields(self)}
        targets = [target.sent() for target in shallow.pop("targets")]
        outputs = [asdict(output) for output in shallow.pop("given_outputs")]
        commands = list(map(astuple, shallow.pop("commands")))
        sent = shallow | {"given_outputs": outputs, "commands": commands}
        return {name: _as_sent(value) for name, value in sent.items()} | {"targets": targets}

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Config:
        """Make a `Config` of what `fields` returned."""
        paths = {name: Path(path) for name, path in sent.items() if path and name in _PATHS}
        lists = {name: tuple(words) for name, words in sent.items() if isinstance(words, list)}
        outputs = tuple(map(Output.of, sent["given_outputs"]))
        of_hub = {"targets": tuple(map(Target.of, sent["targets"]))}
        commands = {"commands": tuple(map(Command.of, sent["commands"]))}
        return cls(**{**sent, **paths, **lists, "given_outputs": outputs, **of_hub, **commands})


#: The fields of `Config` that are paths.
_PATHS: Final = {field.name for field in fields(Config) if "Path" in str(field.type)}


def _as_sent(value: object) -> object:
    """A value as MessagePack can carry it: a path as text, a tuple as a list."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {name: _as_sent(one) for name, one in value.items()}
    return [_as_sent(one) for one in value] if isinstance(value, (tuple, list)) else value


# --- the files of the transport

#: For each file its device, inode and change time (ns); None if it does not exist.
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Paths of the TLS and credential files; their content is read where it is used."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    credentials_file: Path | None = None
    proxy_credentials_file: Path | None = None
    tokens_file: Path | None = None

    def stamp(self) -> Stamp:
        """Return a value that changes when one of the files is replaced or written to."""
        return tuple(_stamp(path) for path in astuple(self) if path is not None)


NO_FILES: Final = Trust()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


# --- the checked URLs of servers and proxies
#
# Checking them is in `validators`, which takes half a megabyte of memory.

#: The path of the API of a pattoo server; a prefix may come before it.
API: Final = "/pattoo/api/v1/agent/"

#: The value of the setting proxy that means no proxy, whatever the environment says.
DIRECT: Final = "direct"

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def url(address: str, port: int) -> str:
    """The plain HTTP URL of a server by its address and port."""
    return f"http://{host_in_url(address)}:{port}"


def host_in_url(address: str) -> str:
    """A checked host name or address as part of a URL: RFC 3986, RFC 6874 for an IPv6 zone."""
    return f"[{address.replace('%', '%25')}]" if ":" in address else address


def is_loopback(listen: str) -> bool:
    """Whether only this host can reach the address `host:port`."""
    host = listen.rpartition(":")[0].strip("[]")
    return host in {"localhost", "::1"} or host.startswith("127.")


def is_https(server: str) -> bool:
    """Whether a checked URL is an https URL."""
    return server.startswith("https:")


def host_and_port(server: str) -> tuple[str, int]:
    """Host and port of a checked URL."""
    scheme, _, rest = server.partition("://")
    authority = rest.partition("/")[0]
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority.strip("[]"), _DEFAULT_PORTS[scheme]
    return host.strip("[]"), int(port)


# --- the rates of posts and commits: the uploader keeps to them, and control expects them

#: The shortest time between commits, in seconds. Polls that arrive faster share a commit, and thus an
#: fsync. A backlog, and a post that was refused, is also posted at this rate.
LEAST_S: Final = 1.0
#: The time between posts, in seconds, where polls arrive faster than `LEAST_S`: polls in one post
#: share its pairs, so fewer posts with twice the polls are cheaper.
_SHARED_POST_S: Final = 2.0
#: The part of an interval after which the next poll may be handled. With a whole interval, one late
#: poll (after an outage, or on a host that stood still) would delay all later ones as much.
_INTERVAL_PART: Final = 0.9


def spacing_s(shortest_s: float) -> float:
    """The shortest time between two posts, in seconds, if no backlog is left.

    `shortest_s` is the shortest interval in force.
    """
    return _SHARED_POST_S if shortest_s < LEAST_S else commit_s(shortest_s)


def commit_s(shortest_s: float) -> float:
    """The shortest time between two commits of polls, in seconds.

    `shortest_s` is the shortest interval in force.
    """
    return LEAST_S if shortest_s < LEAST_S else min(LEAST_S, _INTERVAL_PART * shortest_s)

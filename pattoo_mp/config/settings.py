"""Every setting, declared once: file, section, check, default and help. `settings` has those of a program.

The parser, `--check`, the sample configuration and the reference in the documentation derive from
these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import commands, outputs, targets, validators, values
from pattoo_mp.config.families import FURTHER, ORIGINAL
from pattoo_mp.config.validators import (
    further_families,
    nonempty_patterns,
    original_families,
    patterns,
    per_family,
)
from pattoo_mp.config.yaml_files import redacted
from pattoo_mp.program import AUTONOMOUS, HUB, SPOKE, Program, this_program
from pattoo_mp.util.units import A_SIZE, A_TIME, exact_size, exact_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The units of plain numbers.
SECONDS: Final = "s"
BYTES: Final = "bytes"

_LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class Missing(Enum):
    """Marks the default of a setting that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    - `check` returns the value to use, or raises `ValueError`.
    - `expected` describes a valid value; it ends the sentence "expected …". (An `InvalidPartError`
      describes one part of the value instead.)
    - `default` is written as in the file, and goes through `check` too.
    - `example` is shown in the sample configuration where there is no default to show.
    - `hides`: never show an invalid value. It may be a secret, written in place of its file's path.
    - `shown` returns a value of the file without what may be a secret in it.
    - `is_written_to`: names a directory that the agent makes and writes to.
    - `needs_restart`: cannot be changed while an agent runs, because its files are open, its lock is
      held, and its host name and its view of the host stay as they were at the start.
    - `is_used`: false for a setting that the agent checks and shows, but does not use; `Config` does
      not carry it.
    - `programs` are those that have it, all if it is empty. In a `Config` of another one it has its default.
    - `unit` is that of its plain numbers, `SECONDS` or `BYTES`, if it is a time or a size.
    - `key` names its value where that of another setting has the same name, in another section.
    """

    name: str
    section: str
    file: str
    check: Callable[[object], object]
    expected: str
    help: str
    default: object = Missing.REQUIRED
    example: object = None
    hides: bool = False
    shown: Callable[[object], object] = redacted
    is_written_to: bool = False
    needs_restart: bool = False
    is_used: bool = True
    programs: tuple[Program, ...] = ()
    key: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)

    @property
    def is_required(self) -> bool:
        """Whether the file must set it."""
        return self.default is Missing.REQUIRED

    def plain(self, value: object) -> object:
        """Return a value of the file without units, in seconds or bytes, as programs read it."""
        if not self.unit:
            return value
        read = validators.in_seconds if self.unit == SECONDS else validators.in_bytes
        return validators.without_units(value, read)

    def readable(self, value: object) -> str:
        """Return a value of the file for people: a time or a size with its unit, and not rounded."""
        found = self.plain(value)
        if isinstance(found, dict) and self.unit:
            return (
                f"{{{', '.join(f'{name}: {self.readable(one)}' for name, one in found.items())}}}"
            )
        if isinstance(found, bool):
            return str(found).lower()  # as YAML has it
        if not isinstance(found, (int, float)) or not 0 <= found < 2**63:
            return str(value)
        if self.unit == SECONDS:
            return exact_time(found)
        return exact_size(found) if self.unit and isinstance(found, int) else str(value)

    @property
    def variable(self) -> str:
        """The variable of the environment that overrides it. The server's settings keep the name of their section."""
        section = "API_" if self.section == SERVER else ""
        return f"{values.VARIABLES}{section}{self.name.upper()}"

    @property
    def about(self) -> str:
        """The help text for the sample configuration and the reference."""
        return f"{self.help} A change needs a restart." if self.needs_restart else self.help


SHARED_FILE: Final = "pattoo.yaml"
LATER_SHARED_FILE: Final = "pattoo_agent.yaml"
#: In a declaration, the section and the file of the program that this is.
_OWN: Final = ""
#: The programs that poll their host.
_WITH_FAMILIES: Final = (AUTONOMOUS, SPOKE)
#: The section of the shared files with the address of the pattoo server.
SERVER: Final = "pattoo_agent_api"
LOG_FORMATS: Final = ("text", "json")
_MAX_JITTER_S: Final = 3600
_MAX_FAILOVER_S: Final = 86_400

_WRITABLE_DIRECTORY: Final = "the absolute path of a directory that the agent can write to"

_INTERVAL: Final = (
    f"{A_TIME} a number of seconds from {validators.MIN_INTERVAL_S} to {validators.MAX_INTERVAL_S}, "
    "in whole milliseconds"
)

_PATH_IN_CONTAINER: Final = "the absolute path at which the agent finds it"

_PEM_FILE: Final = "the absolute path of a PEM file that the agent can read"

_PRIVATE_FILE: Final = "the absolute path of a file that only the agent's user can read"

#: The original agent leaves out loop*, and ram followed by digits only.
_RAM_AND_LOOP_DISKS: Final = ["loop*", "ram[0-9]", "ram[0-9][0-9]", "ram[0-9][0-9][0-9]"]


def _filter(
    name: str, what: str, example: str, exclude: Sequence[str] = ()
) -> tuple[Setting, Setting]:
    """The settings `…_include` and `…_exclude` that select which of `what` are polled."""
    expected = f"a list of patterns such as ['{example}']"
    return (
        Setting(
            f"{name}_include", _OWN, _OWN, nonempty_patterns, expected,
            f"Which {what} are polled.",
            default=["*"], programs=_WITH_FAMILIES,
        ),
        Setting(
            f"{name}_exclude", _OWN, _OWN, patterns, expected,
            f"Which {what} are not polled, even if {name}_include matches them.",
            default=list(exclude), programs=_WITH_FAMILIES,
        ),
    )  # fmt: skip


_EVERY: Final = (
    Setting(
        "log_directory", "pattoo", SHARED_FILE, validators.path, _WRITABLE_DIRECTORY,
        "Where the log is written.",
        example="/var/log/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "cache_directory", "pattoo", SHARED_FILE, validators.path, _WRITABLE_DIRECTORY,
        "Where the spool is kept: polls that the server has not taken yet.",
        example="/var/cache/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "daemon_directory", "pattoo", SHARED_FILE, validators.path, _WRITABLE_DIRECTORY,
        "Where the agent's identity is kept.",
        example="/var/lib/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "system_daemon_directory", "pattoo", SHARED_FILE, validators.optional(validators.path), _WRITABLE_DIRECTORY,
        "Where the PID file and the status socket are kept. Stop the agent before you change this, or "
        "the commands will not find it. The default is daemon_directory.",
        default=None, example="/run/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "log_level", "pattoo", SHARED_FILE, validators.one_of(_LOG_LEVELS), f"one of {', '.join(_LOG_LEVELS)}",
        "The lowest level that is logged.",
        default="info",
    ),
    Setting(
        "language", "pattoo", SHARED_FILE, validators.anything, "a language code such as en",
        "The language of other pattoo programs. This agent does not use it and accepts any value.",
        default="en", is_used=False,
    ),
    Setting(
        "ip_address", SERVER, SHARED_FILE, validators.host,
        "a host name or an IPv4 or IPv6 address",
        "The address of the pattoo server.",
        default="localhost",
    ),
    Setting(
        "ip_bind_port", SERVER, SHARED_FILE, validators.port, "a whole number from 1 to 65535",
        "The port of the pattoo server.",
        default=20201,
    ),
    Setting(
        "polling_interval", _OWN, _OWN, validators.interval_ms, _INTERVAL,
        "The time from one poll to the next.",
        default=300, programs=_WITH_FAMILIES, unit=SECONDS,
    ),
    Setting(
        "polling_interval", _OWN, _OWN, targets.interval_ms, targets.INTERVAL,
        "The time from one request to a spoke to the next. A target may have an interval of its own.",
        default=300, programs=(HUB,), unit=SECONDS,
    ),
    Setting(
        "ip_targets", _OWN, _OWN, targets.check, f"a list of targets, such as {targets.EXAMPLE}",
        "The spokes to ask, originals or of this project. Each has ip_address and ip_bind_port; the "
        "documentation, page Hub, has all keys.",
        default=[], example=targets.EXAMPLE, shown=targets.shown, programs=(HUB,), key="targets",
    ),
    Setting(
        "targets_directory", _OWN, _OWN, validators.optional(validators.path),
        "the absolute path of a directory that the agent can read",
        "Where further targets are: each *.yaml, *.yml or *.json file holds a list as ip_targets has it.",
        default=None, example="/etc/pattoo/targets", programs=(HUB,),
    ),
    Setting(
        "hub_name", _OWN, _OWN, validators.optional(targets.hub_name),
        "1 to 64 characters of A-Z, a-z, 0-9, ., _ and -",
        "The name of this hub at spokes, where each hub has a place of its own. Another name begins a new "
        "place. The default is the agent's identity.",
        default=None, example="basel", programs=(HUB,),
    ),
    Setting(
        "ip_listen_address", _OWN, _OWN, validators.host, "a host name or an IPv4 or IPv6 address",
        "The address at which an output of kind pull listens, unless that has listen. With 0.0.0.0, every "
        "IPv4 address of this host; with ::, every address.",
        default="127.0.0.1", programs=(SPOKE,),
    ),
    Setting(
        "ip_bind_port", _OWN, _OWN, validators.port, "a whole number from 1 to 65535",
        "The port at which it listens.",
        default=5000, programs=(SPOKE,), key="listen_port",
    ),
    Setting(
        "intervals", _OWN, _OWN, per_family(validators.interval_ms, _INTERVAL),
        "a mapping from families to times, such as {processor: 100 ms, partitions: 1m}",
        "Families with their own interval, which are not polled at polling_interval.",
        default={}, programs=_WITH_FAMILIES, unit=SECONDS,
    ),
    Setting(
        "encrypted", _OWN, _OWN, validators.yes_or_no, "true or false",
        "Encrypt posts for the server, with gpg and python-gnupg. The server must be set up to decrypt "
        "them.",
        default=False, programs=_WITH_FAMILIES,
    ),
    Setting(
        "post_jitter", _OWN, _OWN, validators.optional(validators.seconds(0, _MAX_JITTER_S)),
        f"{A_TIME} a number of seconds from 0 to {_MAX_JITTER_S}",
        "Each agent delays its posts by a fixed time of at most this, so that the agents of "
        "a site do not all post at once. The limit is the shortest interval in force; the default is "
        "a quarter of that, at most 60 s.",
        default=None, example="1m", programs=_WITH_FAMILIES, unit=SECONDS,
    ),
    Setting(
        "servers", _OWN, _OWN, validators.servers, f"a list of URLs of pattoo servers, such as {validators.SERVER_EXAMPLE}",
        "Pattoo servers, or reverse proxies in front of them, as URLs up to the server's own path "
        f"{values.API}. Each poll goes to one server, the first that accepts posts. If this is not "
        "set, the server is at ip_address and ip_bind_port.",
        default=[], example=["https://pattoo.example.org"],
    ),
    Setting(
        "outputs", _OWN, _OWN, outputs.check, "a list of outputs, such as [{kind: pattoo}]",
        f"Where each poll goes: at most {outputs.MAX_OUTPUTS} outputs of the kinds pattoo, remote_write "
        "(Prometheus, VictoriaMetrics, Mimir, Thanos) and pull (fetched by a hub or scraped by Prometheus), "
        "each with its own account. If this is not set, there is one of kind pattoo; of a spoke, of kind "
        "pull. The documentation, page Outputs, has all keys.",
        default=None,
        example=[
            {"kind": "pattoo"},
            {
                "kind": "remote_write",
                "name": "metrics",
                "url": outputs.URL_EXAMPLE,
                "labels": {"site": "basel"},
            },
        ],
        shown=outputs.shown,
    ),
    Setting(
        "failover_after", _OWN, _OWN, validators.seconds(1, _MAX_FAILOVER_S),
        f"{A_TIME} a number of seconds from 1 to {_MAX_FAILOVER_S}",
        "Fail over to the next server after the current one has accepted nothing for this long. Return "
        "to an earlier server after it has been well for this long.",
        default="5m", unit=SECONDS,
    ),
    Setting(
        "tls_ca_file", _OWN, _OWN, validators.optional(validators.path), _PEM_FILE,
        "The certificates of the only CAs that are trusted for servers. If this is not set, the CAs "
        "that this host trusts.",
        default=None, example="/etc/pattoo/ca.pem",
    ),
    Setting(
        "tls_certificate_file", _OWN, _OWN, validators.optional(validators.path), _PEM_FILE,
        "The client certificate for a server that requires one, with its intermediate certificates.",
        default=None, example="/etc/pattoo/agent.pem",
    ),
    Setting(
        "tls_key_file", _OWN, _OWN, validators.optional(validators.path),
        "the absolute path of a PEM file that only the agent's user can read",
        "The private key of tls_certificate_file, without a pass phrase. The file must belong to the "
        "agent's user, with mode 0600 or 0400. If this is not set, the key is in "
        "tls_certificate_file.",
        default=None, example="/etc/pattoo/agent.key",
    ),
    Setting(
        "credentials_file", _OWN, _OWN, validators.optional(validators.path), _PRIVATE_FILE,
        "Credentials for a reverse proxy in front of the server: one line with a bearer token, or with "
        "user:password. The file must belong to the agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/credentials", hides=True,
    ),
    Setting(
        "proxy", _OWN, _OWN, validators.optional(validators.proxy), validators.A_PROXY,
        "The HTTP proxy between the agent and the server. If this is not set, the agent uses the "
        "environment: https_proxy, http_proxy, all_proxy and no_proxy.",
        default=None, example="http://proxy.example.org:3128",
    ),
    Setting(
        "proxy_credentials_file", _OWN, _OWN, validators.optional(validators.path), _PRIVATE_FILE,
        "Credentials for the HTTP proxy: one line with user:password. The file must belong to the "
        "agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/proxy-credentials", hides=True,
    ),
    Setting(
        "spool_max_bytes", _OWN, _OWN, validators.size(1_000_000),
        f"{A_SIZE} a whole number of bytes, 1000000 or more",
        "The largest size of the spool. When it is full, the oldest polls are dropped.",
        default="1 GB", unit=BYTES,
    ),
    Setting(
        "spool_max_age", _OWN, _OWN, validators.whole_seconds(60),
        f"{A_TIME} a whole number of seconds, 60 or more",
        "The age at which a poll in the spool is dropped.",
        default="30d", unit=SECONDS,
    ),
    Setting(
        "spool_min_free_bytes", _OWN, _OWN, validators.size(0),
        f"{A_SIZE} a whole number of bytes, 0 or more",
        "If the spool's file system has less free space than this, the spool does not grow, and the "
        "oldest polls are dropped.",
        default="64 MB", unit=BYTES,
    ),
    Setting(
        "log_format", _OWN, _OWN, validators.one_of(LOG_FORMATS), f"one of {', '.join(LOG_FORMATS)}",
        "The format of the lines in this agent's log: text for people, JSON for programs.",
        default="text",
    ),
    Setting(
        "log_max_bytes", _OWN, _OWN, validators.log_max_bytes,
        f"{A_SIZE} a whole number of bytes, {validators.MIN_LOG_BYTES} or more, or 0",
        "At this size the log is renamed, with .1 after its name, and a new file is begun. "
        "0 disables rotation; use logrotate.",
        default="10 MB", unit=BYTES,
    ),
    Setting(
        "log_backups", _OWN, _OWN, validators.whole_number(1, validators.MAX_LOG_BACKUPS), "a whole number from 1 to 100",
        "How many renamed logs are kept. The one with .1 is the newest.",
        default=5,
    ),
    Setting(
        "families", _OWN, _OWN, further_families, f"a list of any of {', '.join(FURTHER)}",
        "Families to poll in addition to those of the original agent.",
        default=[], programs=_WITH_FAMILIES,
    ),
    Setting(
        "families_off", _OWN, _OWN, original_families,
        f"a list of any of {', '.join(ORIGINAL)}",
        "Families of the original agent that are not polled. Their charts on the server end.",
        default=[], programs=_WITH_FAMILIES,
    ),
    Setting(
        "textfile_directory", _OWN, _OWN, validators.optional(validators.path),
        "the absolute path of a directory that the agent can read",
        "Where the family textfile finds its *.prom files.",
        default=None, example="/var/lib/pattoo/textfile", programs=_WITH_FAMILIES,
    ),
    Setting(
        "commands", _OWN, _OWN, commands.check, "a list of commands, each with name and command",
        "Programs whose figures the family commands polls. The documentation, page Commands, has all keys.",
        default=[], example=commands.EXAMPLE, shown=commands.shown, programs=_WITH_FAMILIES,
    ),
    Setting(
        "hostname", _OWN, _OWN, validators.optional(validators.host), "a host name",
        "The host name that the server gets. A different name begins new charts. The default is the "
        "fully qualified name of this host at the first start, which is kept beside the identity.",
        default=None, example="web1.example.org", needs_restart=True,
    ),
    Setting(
        "procfs_path", _OWN, _OWN, validators.path, _PATH_IN_CONTAINER,
        "The host's /proc, for an agent in a container.",
        default="/proc", needs_restart=True, programs=_WITH_FAMILIES,
    ),
    Setting(
        "sysfs_path", _OWN, _OWN, validators.path, _PATH_IN_CONTAINER,
        "The host's /sys, for an agent in a container.",
        default="/sys", needs_restart=True, programs=_WITH_FAMILIES,
    ),
    Setting(
        "rootfs_path", _OWN, _OWN, validators.path, _PATH_IN_CONTAINER,
        "The host's /, for an agent in a container.",
        default="/", needs_restart=True, programs=_WITH_FAMILIES,
    ),
    *_filter("mounts", "mount points", "/srv/*", ["*docker*"]),
    *_filter("filesystems", "types of file systems", "squashfs"),
    Setting(
        "filesystems_without_device", _OWN, _OWN, patterns,
        "a list of patterns such as ['tmpfs', 'nfs*', 'cifs', 'fuse.*']",
        "Which types of file systems are polled although they are on no device of this host. The "
        "original agent polls none of them.",
        default=[], programs=_WITH_FAMILIES,
    ),
    *_filter("disks", "disks and partitions", "sd*", _RAM_AND_LOOP_DISKS),
    *_filter("interfaces", "network interfaces", "veth*"),
    *_filter("temperatures", "temperature sensors", "coretemp *"),
    Setting(
        "top_processes", _OWN, _OWN, validators.whole_number(1, validators.MAX_TOP_PROCESSES),
        f"a whole number from 1 to {validators.MAX_TOP_PROCESSES}",
        "How many programs the family top_processes reports: this many with the most CPU time, and as "
        "many with the most memory.",
        default=5, programs=_WITH_FAMILIES,
    ),
)  # fmt: skip


def program_sections() -> dict[tuple[str, str], str]:
    """The help text of each section of this program, by file and section."""
    return {
        (SHARED_FILE, "pattoo"): "Settings that all pattoo programs on this host share.",
        (SHARED_FILE, SERVER): (
            f"The pattoo server. If {LATER_SHARED_FILE} has this section too, the agent uses that one and "
            f"ignores this one."
        ),
        (agent_file(), this_program().name): "Settings of this agent only.",
    }


def program_files() -> tuple[str, ...]:
    """The names of the files that an administrator of this program has to write."""
    return tuple(dict.fromkeys(file for file, _ in program_sections()))


def agent_file() -> str:
    """The name of this program's own file."""
    return this_program().file


def program_settings() -> tuple[Setting, ...]:
    """The settings of this program, in the order of their declaration."""
    return _settings_of(this_program())


@lru_cache
def _settings_of(program: Program) -> tuple[Setting, ...]:
    found = []
    for setting in _EVERY:
        if setting.programs and program not in setting.programs:
            continue
        default = program.defaults.get(setting.name, setting.default)
        if setting.file == _OWN:
            setting = replace(setting, section=program.name, file=program.file)  # noqa: PLW2901
        found.append(replace(setting, default=default))
    return tuple(found)


def defaults() -> dict[str, object]:
    """The checked defaults by key, of all settings of any program that have one and are used."""
    own = {setting.key: setting for setting in program_settings()}
    every = [own.get(setting.key, setting) for setting in _EVERY]
    return {s.key: s.check(s.default) for s in every if s.is_used and not s.is_required}

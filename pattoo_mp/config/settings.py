"""What a setting is: its place, its check, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import validators, values
from pattoo_mp.config.families import FURTHER, ORIGINAL
from pattoo_mp.config.validators import (
    for_families,
    further_families,
    original_families,
    patterns,
    some_patterns,
)
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class Missing(Enum):
    """The default of a setting that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `check` returns the value to use, or raises `ValueError`; `expected` says what it wants, in
    words that end the sentence "expected …" (`UnfitError` says it of one part). `default` is as it would stand in the file, and goes
    through `check` too. `example` is for a sample where there is no default to show. Of one that
    `hides` a wrong value is never shown: it may be the secret itself, in the place of its file. One
    that `is_written_to` names a directory that the agent makes. One that `needs_restart` cannot be
    changed while an agent runs: its files are open, its lock is held, and its name and its way to
    the host are those that it began with. One that is not `is_used` is checked and shown, but the
    agent has no use for it, and no `Config` carries it.
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
    is_written_to: bool = False
    needs_restart: bool = False
    is_used: bool = True

    @property
    def is_required(self) -> bool:
        """Whether the file must set it."""
        return self.default is Missing.REQUIRED

    @property
    def about(self) -> str:
        """What it is, for who reads about it."""
        return f"{self.help} A change needs a restart." if self.needs_restart else self.help


# Every setting, declared once: file, section, check, default and help.
#
# The parser, `--check`, the sample configuration and the reference in the documentation derive from
# these declarations.

SHARED_FILE: Final = "pattoo.yaml"
LATER_SHARED_FILE: Final = "pattoo_agent.yaml"
AGENT_FILE: Final = f"{PROGRAM}.yaml"
#: The section of the shared files that names the pattoo server.
SERVER: Final = "pattoo_agent_api"
LOG_FORMATS: Final = ("text", "json")
_MOST_JITTER_S: Final = 3600
_MOST_FAILOVER_S: Final = 86_400

_A_DIRECTORY: Final = "the absolute path of a directory that the agent can write to"

_AN_INTERVAL: Final = f"a number of seconds from {validators.MIN_INTERVAL_S} to {validators.MAX_INTERVAL_S}, in whole milliseconds"

_SEEN: Final = "the absolute path at which the agent sees it"

_A_PEM_FILE: Final = "the absolute path of a file in PEM that the agent can read"

_A_PRIVATE_FILE: Final = "the absolute path of a file that the agent's user alone can read"

#: The original leaves out loop*, and ram with digits and nothing after them.
_RAM_AND_LOOP_DISKS: Final = ["loop*", "ram[0-9]", "ram[0-9][0-9]", "ram[0-9][0-9][0-9]"]


def _filter(
    name: str, what: str, such_as: str, exclude: Sequence[str] = ()
) -> tuple[Setting, Setting]:
    """Two settings: which of `what` are polled, and which of those are not."""
    expected = f"a list of patterns such as ['{such_as}']"
    return (
        Setting(
            f"{name}_include", PROGRAM, AGENT_FILE, some_patterns, expected,
            f"Which {what} are polled.",
            default=["*"],
        ),
        Setting(
            f"{name}_exclude", PROGRAM, AGENT_FILE, patterns, expected,
            f"Which {what} are not polled, though {name}_include names them.",
            default=list(exclude),
        ),
    )  # fmt: skip


#: What each section is about, by file and name.
SECTIONS: Final = {
    (SHARED_FILE, "pattoo"): "What all pattoo programs on this host share.",
    (SHARED_FILE, SERVER): (
        f"The pattoo server. If {LATER_SHARED_FILE} has a section of this name, that one counts, "
        f"and not this one."
    ),
    (AGENT_FILE, PROGRAM): "What concerns this agent alone. The file must be there.",
}
#: The files that a person has to write.
FILES: Final = tuple(dict.fromkeys(file for file, _ in SECTIONS))

SETTINGS: Final = (
    Setting(
        "log_directory", "pattoo", SHARED_FILE, validators.path, _A_DIRECTORY,
        "Where pattoo.log is written.",
        example="/var/log/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "cache_directory", "pattoo", SHARED_FILE, validators.path, _A_DIRECTORY,
        "Where polls wait for the server.",
        example="/var/cache/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "daemon_directory", "pattoo", SHARED_FILE, validators.path, _A_DIRECTORY,
        "Where the agent's identity is kept.",
        example="/var/lib/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "system_daemon_directory", "pattoo", SHARED_FILE, validators.optional(validators.path), _A_DIRECTORY,
        "Where the PID file and the status socket are kept: stop the agent before you change it, or "
        "it is not found. The default is daemon_directory.",
        default=None, example="/run/pattoo", is_written_to=True, needs_restart=True,
    ),
    Setting(
        "log_level", "pattoo", SHARED_FILE, validators.one_of(_LOG_LEVELS), f"one of {', '.join(_LOG_LEVELS)}",
        "What is worth a line in the log.",
        default="info",
    ),
    Setting(
        "language", "pattoo", SHARED_FILE, validators.anything, "a language code such as en",
        "The language of other pattoo programs; this agent has none, and takes any.",
        default="en", is_used=False,
    ),
    Setting(
        "ip_address", SERVER, SHARED_FILE, validators.host,
        "a host name or an IPv4 or IPv6 address",
        "The pattoo server.",
        default="localhost",
    ),
    Setting(
        "ip_bind_port", SERVER, SHARED_FILE, validators.port, "a whole number from 1 to 65535",
        "The pattoo server's port.",
        default=20201,
    ),
    Setting(
        "polling_interval", PROGRAM, AGENT_FILE, validators.interval_ms, _AN_INTERVAL,
        "Seconds from one poll to the next.",
        default=300,
    ),
    Setting(
        "intervals", PROGRAM, AGENT_FILE, for_families(validators.interval_ms, _AN_INTERVAL),
        "families with their seconds, such as {processor: 0.1, partitions: 60}",
        "Families that are polled at an interval of their own, and not at polling_interval.",
        default={},
    ),
    Setting(
        "encrypted", PROGRAM, AGENT_FILE, validators.yes_or_no, "true or false",
        "Posts are encrypted for the server alone, with gpg and python-gnupg. The server has to be "
        "set up to decrypt.",
        default=False,
    ),
    Setting(
        "post_jitter", PROGRAM, AGENT_FILE, validators.optional(validators.seconds(0, _MOST_JITTER_S)),
        f"a number of seconds from 0 to {_MOST_JITTER_S}",
        "Each agent posts at a moment of its own after a poll, up to so many seconds later, so that "
        "those of a site do not all post at once. It is never more than the shortest interval in "
        "force; the default is a quarter of that, and at most 60.",
        default=None, example=60,
    ),
    Setting(
        "servers", PROGRAM, AGENT_FILE, validators.servers, f"a list, each of it {validators.A_SERVER}",
        f"Pattoo servers, or what stands before them, as URLs: what comes before {values.API}. Each "
        "poll goes to one of them: the first that takes any. If it is not set, ip_address and "
        "ip_bind_port name the server.",
        default=[], example=["https://pattoo.example.org"],
    ),
    Setting(
        "failover_after", PROGRAM, AGENT_FILE, validators.seconds(1, _MOST_FAILOVER_S),
        f"a number of seconds from 1 to {_MOST_FAILOVER_S}",
        "For how long a server takes nothing before the next of servers gets the polls; and for how "
        "long one that comes before that is well before it gets them again.",
        default=300,
    ),
    Setting(
        "tls_ca_file", PROGRAM, AGENT_FILE, validators.optional(validators.path), _A_PEM_FILE,
        "The certificates of the CAs that may vouch for a server, and no others. If it is not set, "
        "those that this host trusts.",
        default=None, example="/etc/pattoo/ca.pem",
    ),
    Setting(
        "tls_certificate_file", PROGRAM, AGENT_FILE, validators.optional(validators.path), _A_PEM_FILE,
        "The certificate that the agent shows to a server that wants one, with those between it and "
        "its CA.",
        default=None, example="/etc/pattoo/agent.pem",
    ),
    Setting(
        "tls_key_file", PROGRAM, AGENT_FILE, validators.optional(validators.path),
        f"{_A_PEM_FILE}, and nobody else can",
        "The key of tls_certificate_file, without a pass phrase; the file belongs to the agent's user, "
        "with mode 0600 or 0400. If it is not set, the key is in tls_certificate_file.",
        default=None, example="/etc/pattoo/agent.key",
    ),
    Setting(
        "credentials_file", PROGRAM, AGENT_FILE, validators.optional(validators.path), _A_PRIVATE_FILE,
        "The credentials that the agent shows to the reverse proxy in front of the server: one line with a "
        "bearer token, or with user:password. The file belongs to the agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/credentials", hides=True,
    ),
    Setting(
        "proxy", PROGRAM, AGENT_FILE, validators.optional(validators.proxy), validators.A_PROXY,
        "The proxy on the way to the server. If it is not set, what the environment names: https_proxy, "
        "http_proxy, all_proxy and no_proxy.",
        default=None, example="http://proxy.example.org:3128",
    ),
    Setting(
        "proxy_credentials_file", PROGRAM, AGENT_FILE, validators.optional(validators.path), _A_PRIVATE_FILE,
        "The credentials that the agent shows to the proxy on the way: one line with user:password. The "
        "file belongs to the agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/proxy-credentials", hides=True,
    ),
    Setting(
        "spool_max_bytes", PROGRAM, AGENT_FILE, validators.whole_number(1_000_000),
        "a whole number of bytes, 1000000 or more",
        "How large the spool may grow while the server is away; then the oldest polls go.",
        default=1_000_000_000,
    ),
    Setting(
        "spool_max_age", PROGRAM, AGENT_FILE, validators.whole_number(60),
        "a whole number of seconds, 60 or more",
        "How old a poll may grow in the spool before it goes.",
        default=30 * 86_400,
    ),
    Setting(
        "spool_min_free_bytes", PROGRAM, AGENT_FILE, validators.whole_number(0),
        "a whole number of bytes, 0 or more",
        "With less than this left on its disk the spool grows no more: the oldest polls go.",
        default=64_000_000,
    ),
    Setting(
        "log_format", PROGRAM, AGENT_FILE, validators.one_of(LOG_FORMATS), f"one of {', '.join(LOG_FORMATS)}",
        "How this agent writes its lines of pattoo.log: for people, or as JSON for programs.",
        default="text",
    ),
    Setting(
        "log_max_bytes", PROGRAM, AGENT_FILE, validators.log_max_bytes,
        f"a whole number of bytes, {validators.LEAST_LOG} or more, or 0",
        "At this size pattoo.log is renamed to pattoo.log.1, and a new one is begun. "
        "With 0 it never is: logrotate does it, or nobody.",
        default=10_000_000,
    ),
    Setting(
        "log_backups", PROGRAM, AGENT_FILE, validators.whole_number(1, validators.MOST_BACKUPS), "a whole number from 1 to 100",
        "How many renamed logs are kept: pattoo.log.1 is the newest of them.",
        default=5,
    ),
    Setting(
        "families", PROGRAM, AGENT_FILE, further_families, f"a list of any of {', '.join(FURTHER)}",
        "Families to poll beside those of the original agent.",
        default=[],
    ),
    Setting(
        "families_off", PROGRAM, AGENT_FILE, original_families,
        f"a list of any of {', '.join(ORIGINAL)}",
        "Families of the original agent not to poll: their charts on the server end.",
        default=[],
    ),
    Setting(
        "textfile_directory", PROGRAM, AGENT_FILE, validators.optional(validators.path),
        "the absolute path of a directory that the agent can read",
        "Where family textfile finds its *.prom files.",
        default=None, example="/var/lib/pattoo/textfile",
    ),
    Setting(
        "hostname", PROGRAM, AGENT_FILE, validators.optional(validators.host), "a host name",
        "The host's name to the server; another one begins new charts. The default is the full name that "
        "the system tells.",
        default=None, example="web1.example.org", needs_restart=True,
    ),
    Setting(
        "procfs_path", PROGRAM, AGENT_FILE, validators.path, _SEEN,
        "The host's /proc, for an agent in a container.",
        default="/proc", needs_restart=True,
    ),
    Setting(
        "sysfs_path", PROGRAM, AGENT_FILE, validators.path, _SEEN,
        "The host's /sys, for an agent in a container.",
        default="/sys", needs_restart=True,
    ),
    Setting(
        "rootfs_path", PROGRAM, AGENT_FILE, validators.path, _SEEN,
        "The host's /, for an agent in a container.",
        default="/", needs_restart=True,
    ),
    *_filter("mounts", "mount points", "/srv/*", ["*docker*"]),
    *_filter("filesystems", "types of file systems", "squashfs"),
    *_filter("disks", "disks and partitions", "sd*", _RAM_AND_LOOP_DISKS),
    *_filter("interfaces", "network interfaces", "veth*"),
    *_filter("temperatures", "temperature sensors", "coretemp *"),
    Setting(
        "top_processes", PROGRAM, AGENT_FILE, validators.whole_number(1, validators.MOST_TOP_PROCESSES),
        f"a whole number from 1 to {validators.MOST_TOP_PROCESSES}",
        "How many programs the family top_processes names: those that take most of the processors, "
        "and as many that hold most memory.",
        default=5,
    ),
)  # fmt: skip


def defaults() -> dict[str, object]:
    """The checked defaults of all settings that have one, by their names."""
    return {s.name: s.check(s.default) for s in SETTINGS if not s.is_required}

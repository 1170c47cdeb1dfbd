"""Every setting, declared once: file, section, check, default and help.

The parser, `--check`, the sample configuration and the reference in the documentation derive from
these declarations.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pattoo_mp import addresses
from pattoo_mp.catalogue import FURTHER, ORIGINAL
from pattoo_mp.choices import (
    for_families,
    further_families,
    original_families,
    patterns,
    some_patterns,
)
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHARED_FILE: Final = "pattoo.yaml"
LATER_SHARED_FILE: Final = "pattoo_agent.yaml"
AGENT_FILE: Final = f"{PROGRAM}.yaml"
#: The section of the shared files that names the pattoo server.
SERVER: Final = "pattoo_agent_api"

_LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS: Final = ("text", "json")
_LEAST_LOG: Final = 10_000
_MOST_BACKUPS: Final = 100
_MOST_TOP_PROCESSES: Final = 20
_MIN_INTERVAL_S: Final = 0.01
_MAX_INTERVAL_S: Final = 86_400
_MOST_JITTER_S: Final = 3600
_MOST_FAILOVER_S: Final = 86_400


class Missing(Enum):
    """The default of a setting that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `check` returns the value to use, or raises `ValueError`; `expected` says what it wants, in
    words that end the sentence "expected …" (`UnfitError` says it of one part). `default` is as it would stand in the file, and goes
    through `check` too. `example` is for a sample where there is no default to show. Of one that
    `hides` a wrong value is never shown: it may be the secret itself, in the place of its file.
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

    @property
    def is_required(self) -> bool:
        """Whether the file must set it."""
        return self.default is Missing.REQUIRED

    @property
    def is_written_to(self) -> bool:
        """Whether it names a directory that the agent makes, and writes to."""
        return self.expected == _A_DIRECTORY

    @property
    def takes_restart(self) -> bool:
        """Whether an agent that runs cannot change it.

        Its files are open, its lock is held, and its name and its way to the host are those that it
        began with.
        """
        return self.is_written_to or self.name in _OF_THE_START

    @property
    def about(self) -> str:
        """What it is, for who reads about it."""
        return f"{self.help} A change takes a restart." if self.takes_restart else self.help


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    try:
        path = Path(value.strip()).expanduser()
    except RuntimeError as error:  # there is no such user or home
        raise ValueError from error
    if not path.is_absolute():
        raise ValueError
    return path


def _optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Take None for a default that follows from other settings."""
    return lambda value: None if value is None else check(value)


def _one_of(words: Sequence[str]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError
        return value.strip().lower()

    return check


def _language(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*", value
    ):
        raise ValueError
    return value


def _interval_ms(value: object) -> int:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    if not _MIN_INTERVAL_S <= value <= _MAX_INTERVAL_S:
        raise ValueError
    milliseconds = round(value * 1000)
    # The server takes an interval as a whole number of milliseconds.
    if not math.isclose(milliseconds, value * 1000, abs_tol=1e-6):
        raise ValueError
    return milliseconds


def _seconds(least: float, most: float) -> Callable[[object], float]:
    def check(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        if not least <= value <= most:
            raise ValueError
        return float(value)

    return check


def _at_least(lowest: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value < 2**63:
            raise ValueError
        return value

    return check


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    return value


def _log_max_bytes(value: object) -> int:
    size = _at_least(0)(value)
    if 0 < size < _LEAST_LOG:
        raise ValueError
    return size


def _log_backups(value: object) -> int:
    number = _at_least(1)(value)
    if number > _MOST_BACKUPS:
        raise ValueError
    return number


def _top_processes(value: object) -> int:
    number = _at_least(1)(value)
    if number > _MOST_TOP_PROCESSES:
        raise ValueError
    return number


_AN_INTERVAL: Final = (
    f"a number of seconds from {_MIN_INTERVAL_S} to {_MAX_INTERVAL_S}, in whole milliseconds"
)

_OF_THE_START: Final = ("hostname", "procfs_path", "sysfs_path", "rootfs_path")
_SEEN: Final = "the absolute path at which the agent sees it"
_A_DIRECTORY: Final = "the absolute path of a directory that the agent can write to"

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
        "log_directory", "pattoo", SHARED_FILE, _path, _A_DIRECTORY,
        "Where pattoo.log is written.",
        example="/var/log/pattoo",
    ),
    Setting(
        "cache_directory", "pattoo", SHARED_FILE, _path, _A_DIRECTORY,
        "Where polls wait for the server.",
        example="/var/cache/pattoo",
    ),
    Setting(
        "daemon_directory", "pattoo", SHARED_FILE, _path, _A_DIRECTORY,
        "Where the agent's identity is kept.",
        example="/var/lib/pattoo",
    ),
    Setting(
        "system_daemon_directory", "pattoo", SHARED_FILE, _optional(_path), _A_DIRECTORY,
        "Where the PID file and the status socket are kept: stop the agent before you change it, or "
        "it is not found. The default is daemon_directory.",
        default=None, example="/run/pattoo",
    ),
    Setting(
        "log_level", "pattoo", SHARED_FILE, _one_of(_LOG_LEVELS), f"one of {', '.join(_LOG_LEVELS)}",
        "What is worth a line in the log.",
        default="info",
    ),
    Setting(
        "language", "pattoo", SHARED_FILE, _language, "a language code such as en",
        "The language of other pattoo programs; this agent only checks it.",
        default="en",
    ),
    Setting(
        "ip_address", SERVER, SHARED_FILE, addresses.host,
        "a host name or an IPv4 or IPv6 address",
        "The pattoo server.",
        default="localhost",
    ),
    Setting(
        "ip_bind_port", SERVER, SHARED_FILE, addresses.port, "a whole number from 1 to 65535",
        "The pattoo server's port.",
        default=20201,
    ),
    Setting(
        "polling_interval", PROGRAM, AGENT_FILE, _interval_ms, _AN_INTERVAL,
        "Seconds from one poll to the next.",
        default=300,
    ),
    Setting(
        "intervals", PROGRAM, AGENT_FILE, for_families(_interval_ms, _AN_INTERVAL),
        "families with their seconds, such as {processor: 0.1, partitions: 60}",
        "Families that are polled at an interval of their own, and not at polling_interval.",
        default={},
    ),
    Setting(
        "encrypted", PROGRAM, AGENT_FILE, _yes_or_no, "true or false",
        "Posts are encrypted for the server alone, with gpg and python-gnupg. The server has to be "
        "set up to decrypt.",
        default=False,
    ),
    Setting(
        "post_jitter", PROGRAM, AGENT_FILE, _optional(_seconds(0, _MOST_JITTER_S)),
        f"a number of seconds from 0 to {_MOST_JITTER_S}",
        "Each agent posts at a moment of its own after a poll, up to so many seconds later, so that "
        "those of a site do not all post at once. It is never more than the shortest interval in "
        "force; the default is a quarter of that, and at most 60.",
        default=None, example=60,
    ),
    Setting(
        "servers", PROGRAM, AGENT_FILE, addresses.servers, f"a list, each of it {addresses.A_SERVER}",
        f"Pattoo servers, or what stands before them, as URLs: what comes before {addresses.API}. Each "
        "poll goes to one of them: the first that takes any. If it is not set, ip_address and "
        "ip_bind_port name the server.",
        default=[], example=["https://pattoo.example.org"],
    ),
    Setting(
        "failover_after", PROGRAM, AGENT_FILE, _seconds(1, _MOST_FAILOVER_S),
        f"a number of seconds from 1 to {_MOST_FAILOVER_S}",
        "For how long a server takes nothing before the next of servers gets the polls; and for how "
        "long one that comes before that is well before it gets them again.",
        default=300,
    ),
    Setting(
        "tls_ca_file", PROGRAM, AGENT_FILE, _optional(_path), _A_PEM_FILE,
        "The certificates of the CAs that may vouch for a server, and no others. If it is not set, "
        "those that this host trusts.",
        default=None, example="/etc/pattoo/ca.pem",
    ),
    Setting(
        "tls_certificate_file", PROGRAM, AGENT_FILE, _optional(_path), _A_PEM_FILE,
        "The certificate that the agent shows to a server that wants one, with those between it and "
        "its CA.",
        default=None, example="/etc/pattoo/agent.pem",
    ),
    Setting(
        "tls_key_file", PROGRAM, AGENT_FILE, _optional(_path),
        f"{_A_PEM_FILE}, and nobody else can",
        "The key of tls_certificate_file, without a pass phrase; the file belongs to the agent's user, "
        "with mode 0600 or 0400. If it is not set, the key is in tls_certificate_file.",
        default=None, example="/etc/pattoo/agent.key",
    ),
    Setting(
        "credentials_file", PROGRAM, AGENT_FILE, _optional(_path), _A_PRIVATE_FILE,
        "What the agent names itself with to what stands before the server: one line with a bearer token, "
        "or with user:password. The file belongs to the agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/credentials", hides=True,
    ),
    Setting(
        "proxy", PROGRAM, AGENT_FILE, _optional(addresses.proxy), addresses.A_PROXY,
        "The proxy on the way to the server. If it is not set, what the environment names: https_proxy, "
        "http_proxy, all_proxy and no_proxy.",
        default=None, example="http://proxy.example.org:3128",
    ),
    Setting(
        "proxy_credentials_file", PROGRAM, AGENT_FILE, _optional(_path), _A_PRIVATE_FILE,
        "What the agent names itself with to the proxy: one line with user:password. The file belongs to "
        "the agent's user, with mode 0600 or 0400.",
        default=None, example="/etc/pattoo/proxy-credentials", hides=True,
    ),
    Setting(
        "spool_max_bytes", PROGRAM, AGENT_FILE, _at_least(1_000_000),
        "a whole number of bytes, 1000000 or more",
        "How large the spool may grow while the server is away; then the oldest polls go.",
        default=1_000_000_000,
    ),
    Setting(
        "spool_max_age", PROGRAM, AGENT_FILE, _at_least(60),
        "a whole number of seconds, 60 or more",
        "How old a poll may grow in the spool before it goes.",
        default=30 * 86_400,
    ),
    Setting(
        "spool_min_free_bytes", PROGRAM, AGENT_FILE, _at_least(0),
        "a whole number of bytes, 0 or more",
        "With less than this left on its disk the spool grows no more: the oldest polls go.",
        default=64_000_000,
    ),
    Setting(
        "log_format", PROGRAM, AGENT_FILE, _one_of(LOG_FORMATS), f"one of {', '.join(LOG_FORMATS)}",
        "How this agent writes its lines of pattoo.log: for people, or as JSON for programs.",
        default="text",
    ),
    Setting(
        "log_max_bytes", PROGRAM, AGENT_FILE, _log_max_bytes,
        f"a whole number of bytes, {_LEAST_LOG} or more, or 0",
        "At this size pattoo.log is renamed to pattoo.log.1, and a new one is begun. "
        "With 0 it never is: logrotate does it, or nobody.",
        default=10_000_000,
    ),
    Setting(
        "log_backups", PROGRAM, AGENT_FILE, _log_backups, "a whole number from 1 to 100",
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
        "textfile_directory", PROGRAM, AGENT_FILE, _optional(_path),
        "the absolute path of a directory that the agent can read",
        "Where family textfile finds its *.prom files.",
        default=None, example="/var/lib/pattoo/textfile",
    ),
    Setting(
        "hostname", PROGRAM, AGENT_FILE, _optional(addresses.host), "a host name",
        "The host's name to the server; another one begins new charts. The default is the full name that "
        "the system tells.",
        default=None, example="web1.example.org",
    ),
    Setting(
        "procfs_path", PROGRAM, AGENT_FILE, _path, _SEEN,
        "The host's /proc, for an agent in a container.",
        default="/proc",
    ),
    Setting(
        "sysfs_path", PROGRAM, AGENT_FILE, _path, _SEEN,
        "The host's /sys, for an agent in a container.",
        default="/sys",
    ),
    Setting(
        "rootfs_path", PROGRAM, AGENT_FILE, _path, _SEEN,
        "The host's /, for an agent in a container.",
        default="/",
    ),
    *_filter("mounts", "mount points", "/srv/*", ["*docker*"]),
    *_filter("filesystems", "types of file systems", "squashfs"),
    *_filter("disks", "disks and partitions", "sd*", _RAM_AND_LOOP_DISKS),
    *_filter("interfaces", "network interfaces", "veth*"),
    *_filter("temperatures", "temperature sensors", "coretemp *"),
    Setting(
        "top_processes", PROGRAM, AGENT_FILE, _top_processes,
        f"a whole number from 1 to {_MOST_TOP_PROCESSES}",
        "How many programs the family top_processes names: those that take most of the processors, "
        "and as many that hold most memory.",
        default=5,
    ),
)  # fmt: skip


def defaults() -> dict[str, object]:
    """The checked defaults of all settings that have one, by their names."""
    return {s.name: s.check(s.default) for s in SETTINGS if not s.is_required}

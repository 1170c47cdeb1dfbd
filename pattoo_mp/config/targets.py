"""The targets of a hub: the check of the setting `ip_targets`, and the files of `targets_directory`.

Both hold the same entries. All errors are found at once; each names the entry and the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import validators
from pattoo_mp.config.validators import InvalidPart, InvalidPartError, InvalidPartsError
from pattoo_mp.config.values import NO_FILES, Target, Trust, host_in_url
from pattoo_mp.config.yaml_files import NOT_SHOWN, read_content, redacted
from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.util import json_text
from pattoo_mp.util.units import A_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

MAX_TARGETS: Final = 20_000
#: The interval of a spoke is whole seconds in the original's URL.
MIN_INTERVAL_S: Final = 1
INTERVAL: Final = (
    f"{A_TIME} a number of seconds from {MIN_INTERVAL_S} to {validators.MAX_INTERVAL_S}"
)
EXAMPLE: Final = [{"ip_address": "spoke1.example.org", "ip_bind_port": 5000}]
_NAME: Final = re.compile(r"[!-~]{1,128}")
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PEM: Final = "the absolute path of a PEM file that the agent can read"
_PRIVATE: Final = "the absolute path of a file that only the agent's user can read"
#: The names of target files; others in the directory are left alone.
SUFFIXES: Final = (".yaml", ".yml", ".json")
_MAX_FILES: Final = 10_000
_FILE_BYTES: Final = 16 << 20


def interval_ms(value: object) -> int:
    """Accept seconds, and return milliseconds."""
    found = validators.interval_ms(value)
    if found < MIN_INTERVAL_S * 1000:
        raise ValueError
    return found


def hub_name(value: object) -> str:
    """Accept a name of a hub as spokes take it."""
    if not isinstance(value, str) or not _HUB_NAME.fullmatch(value):
        raise ValueError
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an entry: its check, what is expected, and what the documentation says."""

    check: Callable[[object], Any]
    expected: str
    about: str
    hides: bool = False


KEYS: Final[Mapping[str, Key]] = {
    "ip_address": Key(
        validators.host, "a host name or an IPv4 or IPv6 address", "Required."
    ),
    "ip_bind_port": Key(validators.port, "a whole number from 1 to 65535", "Required."),
    "name": Key(
        _name, "1 to 128 printable ASCII characters without blanks",
        "The name in status, log and ledger. The default is the address with the port.",
    ),
    "polling_interval": Key(
        interval_ms, INTERVAL, "The time from one request to the next. The default is the setting."
    ),
    "token_file": Key(
        validators.path, _PRIVATE,
        "The file with the token that the spoke wants: one line, mode 0600 or 0400.", hides=True,
    ),
    "tls": Key(
        validators.yes_or_no, "true or false",
        "Whether the spoke is asked over TLS. It is too if tls_ca_file or tls_certificate_file is set.",
    ),
    "tls_ca_file": Key(
        validators.path, _PEM, "The CAs that are trusted. The default is those that this host trusts."
    ),
    "tls_certificate_file": Key(
        validators.path, _PEM, "The client certificate for a spoke that requires one."
    ),
    "tls_key_file": Key(validators.path, _PRIVATE, "Its key, if that is in a file of its own."),
}  # fmt: skip
#: The keys that name a file, with the field of `Trust` that holds it.
TRUST_KEYS: Final = {
    "tls_ca_file": "ca_file",
    "tls_certificate_file": "certificate_file",
    "tls_key_file": "key_file",
    "token_file": "credentials_file",
}
_REQUIRED: Final = ("ip_address", "ip_bind_port")


def check(value: object) -> tuple[Target, ...]:
    """Accept a list of targets. Raises `InvalidPartsError` with all errors of all entries, or `ValueError`."""
    parts: list[InvalidPart] = []
    found = _entries(value, parts)
    if parts:
        raise InvalidPartsError(parts)
    return found


def shown(value: object) -> object:
    """Return the setting as it may be shown, whether it is valid or not."""
    if not isinstance(value, list):
        return redacted(value)
    return [_shown(entry) for entry in value]


def _shown(entry: object) -> object:
    if not isinstance(entry, dict):
        return redacted(entry)
    return {
        redacted(key): redacted(given)
        if str(key) in KEYS and (not KEYS[str(key)].hides or str(given).startswith("/"))
        else NOT_SHOWN
        for key, given in entry.items()
    }


def with_files(
    targets: tuple[Target, ...],
    directory: Path | None,
    problems: list[str],
    line: Callable[[InvalidPart], str],
) -> tuple[Target, ...]:
    """Return the targets with those of the files in a directory.

    Each problem gets a line in `problems`; `line` words one with a part of an entry.
    """
    if directory is None:
        return targets
    try:
        files = target_files(directory)
    except OSError as error:
        problems.append(f"{where_and_why(error)}; expected a directory with files of targets")
        return targets
    if len(files) > _MAX_FILES:
        problems.append(f"{directory}: {len(files)} files; expected at most {_MAX_FILES}")
        return targets
    found = list(targets)
    for path in files:
        found += _of_file(path, problems, line)
    problems += [f"{directory}: {line(part)}" for part in _same(found)]
    if len(found) > MAX_TARGETS:
        problems.append(f"{directory}: {len(found)} targets; expected at most {MAX_TARGETS}")
    return tuple(found)


def target_files(directory: Path) -> list[Path]:
    """Return the files with targets in a directory. Raises `OSError`."""
    # One that begins with a dot is being written, or an editor's.
    return sorted(p for p in directory.iterdir() if p.suffix in SUFFIXES and p.name[0] != ".")


def _of_file(
    path: Path, problems: list[str], line: Callable[[InvalidPart], str]
) -> tuple[Target, ...]:
    parts: list[InvalidPart] = []
    found: tuple[Target, ...] = ()
    try:
        found = _entries(_content(path), parts)
    except ConfigError as error:
        problems += error.problems
    except ValueError:
        problems.append(f"{path}: expected a list of targets, such as {EXAMPLE}")
    problems += [f"{path}: {line(part)}" for part in parts]
    return found


def _content(path: Path) -> object:
    """Return the content of a file of targets. Raises `ConfigError`."""
    if path.suffix != ".json":
        return read_content(path)
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{where_and_why(error)}; expected a file of targets"]) from error
    if len(content) > _FILE_BYTES:
        raise ConfigError(
            [f"{path} is larger than {_FILE_BYTES} bytes; expected a file of targets"]
        )
    try:
        return json_text.parse(content)
    except ValueError as error:
        raise ConfigError([f"{path}: not JSON: {error}; expected a file of targets"]) from error


def _entries(value: object, parts: list[InvalidPart]) -> tuple[Target, ...]:
    """Return the targets of a list; what is wrong goes into `parts`. Raises `ValueError` if it is no list."""
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if len(value) > MAX_TARGETS:
        raise InvalidPartError(f"{len(value)} targets", f"at most {MAX_TARGETS} targets")
    found = []
    for number, given in enumerate(value, 1):
        target = _entry(f"entry {number}", given, parts)
        if target is not None:
            found.append(target)
    if not parts:
        parts += _same(found)
    return tuple(found)


def _entry(where: str, given: object, parts: list[InvalidPart]) -> Target | None:
    if not isinstance(given, dict):
        expected = "a mapping with ip_address and ip_bind_port"
        parts.append(InvalidPart(where, "", given, expected))
        return None
    name = given.get("name")
    if isinstance(name, str) and _NAME.fullmatch(name):
        where = name
    values: dict[str, Any] = {}
    wrong = [_check_key(where, str(key), one, values) for key, one in given.items()]
    wrong += [
        InvalidPart(where, key, None, KEYS[key].expected, "is not set")
        for key in _REQUIRED
        if given.get(key) is None
    ]
    found = [part for part in wrong if part is not None]
    parts += found
    return None if found else _target(values)


def _check_key(where: str, key: str, given: object, values: dict[str, Any]) -> InvalidPart | None:
    """Check a key of an entry. Its value goes into `values`; return what is wrong with it."""
    known = KEYS.get(key)
    if known is None:
        expected = validators.nearest(key.lower(), KEYS, f"one of {', '.join(KEYS)}")
        return InvalidPart(where, key, None, expected, "unknown key")
    try:
        if given is not None:
            values[key] = known.check(given)
    except (ValueError, OverflowError):
        is_hidden = known.hides and not str(given).startswith("/")
        return InvalidPart(where, key, NOT_SHOWN if is_hidden else given, known.expected)
    return None


def _target(values: Mapping[str, Any]) -> Target:
    get = values.get
    address, port = values["ip_address"], values["ip_bind_port"]
    trust = Trust(**{field: get(key) for key, field in TRUST_KEYS.items()})
    trust = NO_FILES if trust == NO_FILES else trust
    return Target(
        name=get("name") or f"{host_in_url(address)}:{port}",
        ip_address=address,
        ip_bind_port=port,
        interval_ms=get("polling_interval") or 0,
        tls=bool(get("tls") or trust.ca_file or trust.certificate_file),
        trust=trust,
    )


def _same(targets: Iterable[Target]) -> list[InvalidPart]:
    """Return an error for each target whose name or address another one has."""
    parts = []
    names: set[str] = set()
    places: dict[tuple[str, int], str] = {}
    for target in targets:
        place = target.ip_address, target.ip_bind_port
        if place in places:
            parts.append(
                InvalidPart(
                    target.name,
                    "ip_address",
                    target.ip_address,
                    f"each spoke once; {places[place]} is there too",
                )
            )
        elif target.name in names:
            expected = "a name that no other target has"
            parts.append(InvalidPart(target.name, "name", target.name, expected))
        names.add(target.name)
        places.setdefault(place, target.name)
    return parts

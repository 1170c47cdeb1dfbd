"""The checks of settings: each takes the value from the file and returns the value to use.

A check raises `ValueError` for a bad value, or `InvalidPartError` if one part of it is bad. The
setting's `expected` then says what the whole value should be.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from pattoo_mp.config.families import EVERY, FURTHER, ORIGINAL
from pattoo_mp.config.values import API, DIRECT, host_and_port, host_in_url
from pattoo_mp.util import units

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


MIN_LOG_BYTES: Final = 10_000
MAX_LOG_BACKUPS: Final = 100
MAX_TOP_PROCESSES: Final = 20
MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 86_400


def path(value: object) -> Path:
    """Accept the absolute path of a file or a directory, whether it exists or not."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    try:
        found = Path(value.strip()).expanduser()
    except RuntimeError as error:  # ~ of a user who does not exist
        raise ValueError from error
    if not found.is_absolute():
        raise ValueError
    return found


def optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Accept None too: the default follows from other settings, or the setting may stay unset."""
    return lambda value: None if value is None else check(value)


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """Accept one of these words, in upper or lower case."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError
        return value.strip().lower()

    return check


def anything(value: object) -> object:
    """Accept any value, for a setting that only other programs use."""
    return value


def in_seconds(value: object) -> object:
    """Return the seconds of a time with its unit; any other value as it is. Raises `ValueError` for other text."""
    if not isinstance(value, str):
        return value
    found = units.milliseconds(value)
    return found / 1000 if found % 1000 else found // 1000


def in_bytes(value: object) -> object:
    """Return the number of bytes of a size with its unit, as `in_seconds` does."""
    return units.byte_count(value) if isinstance(value, str) else value


def without_units(value: object, read: Callable[[object], object]) -> object:
    """Return a value, or those of a mapping, as plain numbers, by one of the two above; invalid ones as they are."""
    if isinstance(value, dict):
        return {name: without_units(one, read) for name, one in value.items()}
    try:
        return read(value)
    except ValueError:
        return value


def interval_ms(value: object) -> int:
    """Accept seconds and return milliseconds: the server wants a whole number of them."""
    value = in_seconds(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    if not MIN_INTERVAL_S <= value <= MAX_INTERVAL_S:
        raise ValueError
    milliseconds = round(value * 1000)
    if not math.isclose(milliseconds, value * 1000, abs_tol=1e-6):
        raise ValueError
    return milliseconds


def seconds(lowest: float, highest: float) -> Callable[[object], float]:
    """Accept a number of seconds in this range."""

    def check(value: object) -> float:
        value = in_seconds(value)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        if not lowest <= value <= highest:
            raise ValueError
        return float(value)

    return check


def whole_seconds(lowest: int) -> Callable[[object], int]:
    """Accept a whole number of seconds of at least this."""
    check = whole_number(lowest)
    return lambda value: check(in_seconds(value))


def size(lowest: int) -> Callable[[object], int]:
    """Accept a number of bytes of at least this."""
    check = whole_number(lowest)
    return lambda value: check(in_bytes(value))


def whole_number(lowest: int, highest: int = 2**63 - 1) -> Callable[[object], int]:
    """Accept a whole number in this range."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError
        return value

    return check


def yes_or_no(value: object) -> bool:
    """Accept a boolean."""
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    return value


def log_max_bytes(value: object) -> int:
    """Accept a size that leaves room for some lines, or 0."""
    found = size(0)(value)
    if 0 < found < MIN_LOG_BYTES:
        raise ValueError
    return found


# --- families, and patterns of device names

#: A character class of a pattern; a ] in first position belongs to it.
_CHARACTER_CLASS: Final = re.compile(r"\[!?+\]?+[^]]*\]")


class InvalidPartError(ValueError):
    """One part of a value is invalid; `expected` continues "expected …", as for a setting."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(expected)
        self.given = given
        self.expected = expected


@dataclass(frozen=True, slots=True)
class InvalidPart:
    """A key of an entry of a list that is wrong: `given` is, or what `wrong` says."""

    where: str
    key: str
    given: object
    expected: str
    wrong: str = ""


class InvalidPartsError(ValueError):
    """Several parts of a value are invalid."""

    def __init__(self, parts: Sequence[InvalidPart]) -> None:
        super().__init__("; ".join(part.expected for part in parts))
        self.parts = tuple(parts)


def further_families(value: object) -> tuple[str, ...]:
    """Accept families to turn on.

    Raises `InvalidPartError`, or `ValueError` if the value is not a list of words.
    """
    # The author of a list with a family that is on may think that only the listed ones are polled.
    return _families(
        value,
        FURTHER,
        "a family that is off by default; {} is on, use families_off to turn it off",
    )


def original_families(value: object) -> tuple[str, ...]:
    """Accept families to turn off. Raises as `further_families` does."""
    return _families(
        value, ORIGINAL, "a family that is on by default; {} is off unless families lists it"
    )


def nonempty_patterns(value: object) -> tuple[str, ...]:
    """Accept `patterns`, but not an empty list: it could be read as everything or as nothing."""
    if value == []:
        raise InvalidPartError(value, "at least one pattern; use ['*'] for everything")
    return patterns(value)


def patterns(value: object) -> tuple[str, ...]:
    """Accept shell patterns (fnmatch). Raises as `further_families` does.

    fnmatch takes `[` without `]` literally. It is refused, because it is almost always a typo.
    """
    words = text_list(value)
    for word in words:
        if not word or not word.isprintable():
            raise InvalidPartError(word, "a pattern of printable characters")
        if "[" in _CHARACTER_CLASS.sub("", word):
            raise InvalidPartError(word, "a ] for each [, or [[] for a literal [")
    return words


def per_family(
    check: Callable[[object], object], expected: str
) -> Callable[[object], dict[str, object]]:
    """Accept a mapping from families to values that `check` accepts; `expected` describes those.

    The check raises as `further_families` does.
    """

    def check_all(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        for name in value:
            if name not in EVERY:
                similar = _most_similar(name) if isinstance(name, str) else ""
                raise InvalidPartError(name, similar or f"one of {', '.join(EVERY)}")
        return {name: check_one(name, given) for name, given in value.items()}

    def check_one(name: object, given: object) -> object:
        try:
            return check(given)
        except (ValueError, OverflowError) as error:
            raise InvalidPartError(given, f"{expected}, for {name}") from error

    return check_all


def text_list(value: object) -> tuple[str, ...]:
    """Accept a list of texts. Raises as `further_families` does."""
    if not isinstance(value, (list, tuple)):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    for word in value:
        if not isinstance(word, str):
            raise InvalidPartError(
                word, "text; YAML reads some words as other types, so put it in quotes"
            )
    return tuple(value)


def _families(value: object, known: Sequence[str], other_list: str) -> tuple[str, ...]:
    """Accept a list of `known` families; `other_list` is expected for one of the other setting."""
    words = text_list(value)
    wrong = {word: _expected_family(word, known, other_list) for word in words if word not in known}
    if len(wrong) == 1:
        raise InvalidPartError(*wrong.popitem())
    if wrong:
        each = "; ".join(f"for {word!r} {expected}" for word, expected in wrong.items())
        raise InvalidPartError(list(wrong), each)
    return words


def _expected_family(word: str, known: Sequence[str], other_list: str) -> str:
    similar = _most_similar(word)
    if similar and similar not in known:
        return other_list.format(similar)
    return similar or f"one of {', '.join(known)}"


def _most_similar(word: str) -> str:
    """The family whose name is most like `word`; empty if none is."""
    return nearest(word.strip().lower(), EVERY, "")


def nearest(word: str, names: Collection[str], otherwise: str) -> str:
    """The one of `names` that is most like `word`; `otherwise` if none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    return (get_close_matches(word, names, 1) or [otherwise])[0]


# --- hosts, ports and URLs

_HOST_NAME: Final = re.compile(
    r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?"
)
_MAX_HOST_NAME: Final = 253
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
#: A path with at least one part; a cluster of VictoriaMetrics has a colon in it.
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~:@!$&'()*+,;=%-]+)+/?")
_SCHEMES: Final = ("http", "https")

A_PROXY: Final = f"the URL of a proxy, such as http://proxy.example.org:3128, or {DIRECT}"
SERVER_EXAMPLE: Final = "https://pattoo.example.org/prefix"
A_SERVER: Final = f"the URL of a pattoo server, such as {SERVER_EXAMPLE}"


def host(value: object) -> str:
    """Accept a host name or an IP address, and return an address in its usual notation."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    name = value.strip()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        # Only digits and dots, but not an address: a mistyped address, not a name.
        if len(name) > _MAX_HOST_NAME or re.fullmatch(r"[0-9.]*", name):
            raise
    if not _HOST_NAME.fullmatch(name):
        raise ValueError
    return name


def port(value: object) -> int:
    """Accept a TCP port."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def servers(value: object) -> tuple[str, ...]:
    """Accept URLs of pattoo servers, and return them without a trailing slash."""
    urls = tuple(_server(word) for word in text_list(value))
    for number, one in enumerate(urls):
        if one in urls[:number]:
            raise InvalidPartError(one, "each server once")
    return urls


def url_with_path(text: str, expected: str) -> str:
    """Accept a URL with a path. Raises `InvalidPartError`; `expected` describes the URL."""
    parts = _parts(text, expected)
    if not _PATH.fullmatch(parts.path):
        raise InvalidPartError(text, expected)
    return f"{_origin(text, parts, expected)}{parts.path}"


def proxy(value: object) -> str:
    """Accept `DIRECT`, or a proxy's URL, and return that without a trailing slash."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if value == DIRECT:
        return value
    parts = _parts(value, A_PROXY)
    if parts.path not in {"", "/"}:
        raise InvalidPartError(value, A_PROXY)
    return _origin(value, parts, A_PROXY)


def is_loopback(server: str) -> bool:
    """Whether a checked URL names a loopback address, so that no data leaves this host."""
    name, _ = host_and_port(server)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _server(text: str) -> str:
    parts = _parts(text, A_SERVER)
    if not _PREFIX.fullmatch(parts.path):
        raise InvalidPartError(text, A_SERVER)
    if f"{parts.path}/".endswith(API) or API in parts.path:
        raise InvalidPartError(text, f"the part of the URL before {API}")
    return f"{_origin(text, parts, A_SERVER)}{parts.path.rstrip('/')}"


def _parts(text: str, expected: str) -> SplitResult:
    """Split a URL; host and port are not checked yet."""
    # urlsplit would silently remove line ends and tabs.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidPartError(text, expected)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InvalidPartError(text, expected) from error
    if "@" in parts.netloc:
        raise InvalidPartError(text, f"{expected}, without user and password")
    if parts.scheme not in _SCHEMES or "?" in text or "#" in text:
        raise InvalidPartError(text, expected)
    return parts


def _origin(text: str, parts: SplitResult, expected: str) -> str:
    """Scheme, checked host and checked port of a URL."""
    try:
        # In a URL the % before the zone of an IPv6 address is written as %25 (RFC 6874).
        name = host((parts.hostname or "").replace("%25", "%"))
        number = "" if parts.port is None else f":{port(parts.port)}"
    except ValueError as error:
        raise InvalidPartError(text, expected) from error
    return f"{parts.scheme}://{host_in_url(name)}{number}"

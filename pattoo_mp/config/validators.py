"""Checks of single values: each returns the value to use, or raises `ValueError`.

Those of lists and mappings are in `choices.py`.
"""

from __future__ import annotations

import ipaddress
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from pattoo_mp.config.families import EVERY, FURTHER, ORIGINAL
from pattoo_mp.config.values import API, DIRECT, in_url, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


LEAST_LOG: Final = 10_000
MOST_BACKUPS: Final = 100
MOST_TOP_PROCESSES: Final = 20
MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 86_400


def path(value: object) -> Path:
    """Take the absolute path of a file or a directory, be it there or not."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    try:
        found = Path(value.strip()).expanduser()
    except RuntimeError as error:  # there is no such user or home
        raise ValueError from error
    if not found.is_absolute():
        raise ValueError
    return found


def optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Take None for a default that follows from other settings."""
    return lambda value: None if value is None else check(value)


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """Take one of these words, however it is written."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError
        return value.strip().lower()

    return check


def anything(value: object) -> object:
    """Accept any value, for a setting that only other programs use."""
    return value


def interval_ms(value: object) -> int:
    """Take seconds, and give milliseconds: the server wants a whole number of them."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    if not MIN_INTERVAL_S <= value <= MAX_INTERVAL_S:
        raise ValueError
    milliseconds = round(value * 1000)
    if not math.isclose(milliseconds, value * 1000, abs_tol=1e-6):
        raise ValueError
    return milliseconds


def seconds(least: float, most: float) -> Callable[[object], float]:
    """Take a number of seconds in this range."""

    def check(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        if not least <= value <= most:
            raise ValueError
        return float(value)

    return check


def whole_number(lowest: int, highest: int = 2**63 - 1) -> Callable[[object], int]:
    """Take whole numbers in this range."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError
        return value

    return check


def yes_or_no(value: object) -> bool:
    """Take what YAML calls true and false."""
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    return value


def log_max_bytes(value: object) -> int:
    """Take a size that leaves room for some lines, or 0."""
    size = whole_number(0)(value)
    if 0 < size < LEAST_LOG:
        raise ValueError
    return size


# Checks of settings that name families, or what of their devices is polled.

#: One of several characters, in a pattern: a ] that comes first is one of them.
_CLASS: Final = re.compile(r"\[!?+\]?+[^]]*\]")


class UnfitError(ValueError):
    """One part of a value is wrong; `expected` says what was wanted of it, as a setting's does."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(expected)
        self.given = given
        self.expected = expected


def further_families(value: object) -> tuple[str, ...]:
    """Families to turn on. Raises `UnfitError`, or `ValueError` where it is no list of words."""
    # Who lists one that is on may believe that it alone is polled then.
    return _families(value, FURTHER, "a family that is off; {} is on, families_off is for it")


def original_families(value: object) -> tuple[str, ...]:
    """Families to turn off. Raises as `further_families` does."""
    return _families(value, ORIGINAL, "a family that is on; {} is off unless families has it")


def some_patterns(value: object) -> tuple[str, ...]:
    """`patterns`, but not none at all: some take that for everything, and others for nothing."""
    if value == []:
        raise UnfitError(value, "a pattern at least; ['*'] is for everything")
    return patterns(value)


def patterns(value: object) -> tuple[str, ...]:
    """Patterns of the shell, as fnmatch has them. Raises as `further_families` does.

    `[` without `]` would stand for itself, and is refused: it is a slip far more often.
    """
    words = texts(value)
    for word in words:
        if not word or not word.isprintable():
            raise UnfitError(word, "a pattern of printable characters")
        if "[" in _CLASS.sub("", word):
            raise UnfitError(word, "a ] for each [, or [[] for a [ itself")
    return words


def for_families(
    check: Callable[[object], object], expected: str
) -> Callable[[object], dict[str, object]]:
    """A check of a mapping that gives families something of their own, which `check` checks.

    `expected` says what that wants. The check raises as `further_families` does.
    """

    def checked(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - one kind of error for every bad value
        for name in value:
            if name not in EVERY:
                near = _nearest(name) if isinstance(name, str) else ""
                raise UnfitError(name, near or f"one of {', '.join(EVERY)}")
        return {name: own(name, given) for name, given in value.items()}

    def own(name: object, given: object) -> object:
        try:
            return check(given)
        except (ValueError, OverflowError) as error:
            raise UnfitError(given, f"{expected}, for {name}") from error

    return checked


def texts(value: object) -> tuple[str, ...]:
    """A list of texts. Raises as `further_families` does."""
    if not isinstance(value, (list, tuple)):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    for word in value:
        if not isinstance(word, str):
            raise UnfitError(
                word, "text; YAML takes some words for something else, so put it in quotes"
            )
    return tuple(value)


def _families(value: object, known: Sequence[str], elsewhere: str) -> tuple[str, ...]:
    """`elsewhere` is said of a family that belongs into the other list."""
    words = texts(value)
    for word in words:
        if word not in known:
            near = _nearest(word)
            if near and near not in known:
                raise UnfitError(word, elsewhere.format(near))
            raise UnfitError(word, near or f"one of {', '.join(known)}")
    return words


def _nearest(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - no agent that runs has use for it

    near = get_close_matches(word.strip().lower(), EVERY, 1)
    return near[0] if near else ""


# Checks of settings that say where something is on a network: hosts, ports, URLs.

_HOST_NAME: Final = re.compile(
    r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?"
)
_MAX_HOST_NAME: Final = 253
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_SCHEMES: Final = ("http", "https")

A_PROXY: Final = f"the URL of a proxy, such as http://proxy.example.org:3128, or {DIRECT}"
A_SERVER: Final = "the URL of a pattoo server, such as https://pattoo.example.org/prefix"


def host(value: object) -> str:
    """A host name, or an address as it is usually written. Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    name = value.strip()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        # All digits and dots, but no address: a mistyped one, not a name.
        if len(name) > _MAX_HOST_NAME or re.fullmatch(r"[0-9.]*", name):
            raise
    if not _HOST_NAME.fullmatch(name):
        raise ValueError
    return name


def port(value: object) -> int:
    """A TCP port. Raises `ValueError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def servers(value: object) -> tuple[str, ...]:
    """URLs of pattoo servers, without a slash at the end. Raises `UnfitError` or `ValueError`."""
    urls = tuple(_server(word) for word in texts(value))
    for number, one in enumerate(urls):
        if one in urls[:number]:
            raise UnfitError(one, "each server once")
    return urls


def proxy(value: object) -> str:
    """`DIRECT`, or a proxy's URL without a slash at the end. Raises `UnfitError` or `ValueError`."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if value == DIRECT:
        return value
    parts = _parts(value, A_PROXY)
    if parts.path not in {"", "/"}:
        raise UnfitError(value, A_PROXY)
    return _origin(value, parts, A_PROXY)


def is_loopback(server: str) -> bool:
    """Whether a checked URL names this host itself, so that nothing leaves it."""
    name, _ = place(server)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _server(text: str) -> str:
    parts = _parts(text, A_SERVER)
    if not _PREFIX.fullmatch(parts.path):
        raise UnfitError(text, A_SERVER)
    if f"{parts.path}/".endswith(API) or API in parts.path:
        raise UnfitError(text, f"the part of the URL before {API}")
    return f"{_origin(text, parts, A_SERVER)}{parts.path.rstrip('/')}"


def _parts(text: str, expected: str) -> SplitResult:
    """The parts of a URL of which the host is still to be checked."""
    # urlsplit passes over line ends and tabs.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UnfitError(text, expected)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UnfitError(text, expected) from error
    if "@" in parts.netloc:
        raise UnfitError(text, f"{expected}, with no user and password in it")
    if parts.scheme not in _SCHEMES or "?" in text or "#" in text:
        raise UnfitError(text, expected)
    return parts


def _origin(text: str, parts: SplitResult, expected: str) -> str:
    try:
        # In a URL the % before an interface is written as such (RFC 6874).
        name = host((parts.hostname or "").replace("%25", "%"))
        number = "" if parts.port is None else f":{port(parts.port)}"
    except ValueError as error:
        raise UnfitError(text, expected) from error
    return f"{parts.scheme}://{in_url(name)}{number}"

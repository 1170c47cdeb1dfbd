"""The check of the setting `commands`: programs whose figures are polled.

All errors are found at once; each names the entry and the key. The words after the program, and the
values of the environment, may hold a password: they are not shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import validators
from pattoo_mp.config.validators import InvalidPart, InvalidPartError, InvalidPartsError
from pattoo_mp.config.values import NAGIOS, PROMETHEUS, Command
from pattoo_mp.config.yaml_files import NOT_SHOWN, redacted
from pattoo_mp.util.units import A_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXAMPLE: Final[list[dict[str, object]]] = [
    {
        "name": "swap",
        "command": ["/usr/lib/nagios/plugins/check_swap", "-w", "20%", "-c", "10%"],
        "format": NAGIOS,
    },
    {"name": "orders", "command": ["/usr/local/lib/pattoo/orders"], "interval": "5m"},
]
FORMATS: Final = (PROMETHEUS, NAGIOS)
MAX_COMMANDS: Final = 50
MAX_INTERVAL_S: Final = 86_400
_MAX_WORDS: Final = 64
_MAX_WORD: Final = 4096
_A_WORD: Final = f"at most {_MAX_WORD} characters other than NUL and U+D800 to U+DFFF"
_MAX_VARIABLES: Final = 32
DEFAULT_INTERVAL_S: Final = 60.0
#: Of a command whose interval is shorter, the interval.
DEFAULT_TIMEOUT_S: Final = 10.0

_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")
_HALF: Final = re.compile("[\ud800-\udfff]")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check(value: object) -> tuple[Command, ...]:
    """Accept a list of commands. Raises `InvalidPartsError` with all errors of all entries, or `ValueError`."""
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if len(value) > MAX_COMMANDS:
        raise InvalidPartError(f"{len(value)} commands", f"at most {MAX_COMMANDS} commands")
    parts: list[InvalidPart] = []
    found = [_checked(number, entry, parts) for number, entry in enumerate(value, 1)]
    names = [entry.get("name") for entry in found]
    for number, name in enumerate(names, 1):
        if name is not None and name in names[: number - 1]:
            expected = "a name that no other command has"
            parts.append(InvalidPart(f"entry {number}", "name", name, expected))
    if parts:
        raise InvalidPartsError(parts)
    return tuple(map(_command, found))


def shown(value: object) -> object:
    """Return the setting as it may be shown, whether it is valid or not."""
    if not isinstance(value, list):
        return redacted(value)
    return [_shown(entry) for entry in value]


def _shown(entry: object) -> object:
    if not isinstance(entry, dict):
        return NOT_SHOWN
    return {redacted(key): _shown_value(str(key), given) for key, given in entry.items()}


def _shown_value(key: str, given: object) -> object:
    if key not in KEYS:  # a key with a typo may hold what the right one would hide
        return NOT_SHOWN
    if not KEYS[key].hides:
        return redacted(given)
    if key == "command" and isinstance(given, list) and given and str(given[0]).startswith("/"):
        return [redacted(given[0]), *([NOT_SHOWN] if given[1:] else [])]
    return NOT_SHOWN


# --- the values of keys


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError
    return value


def _words(value: object) -> tuple[str, ...]:
    try:
        words = validators.text_list(value)
    except InvalidPartError as error:
        # A number without quotes: no password, and it shows where to look.
        given = error.given if isinstance(error.given, (int, float)) else NOT_SHOWN
        raise InvalidPartError(given, error.expected) from None
    if not 1 <= len(words) <= _MAX_WORDS:
        raise InvalidPartError(f"{len(words)} words", f"1 to {_MAX_WORDS} words")
    if not words[0].startswith("/") or words[0].endswith("/"):
        raise InvalidPartError(
            words[0] if words[0].isprintable() and " " not in words[0] else NOT_SHOWN,
            "the absolute path of a program as the first word, and each argument as a word of its own",
        )
    if not all(map(_is_word, words)):
        raise InvalidPartError(NOT_SHOWN, f"words of {_A_WORD}")
    return words


def _is_word(text: str) -> bool:
    """Whether a program can get a text as it is: an escape in quotes may name half of a character."""
    return "\0" not in text and len(text) <= _MAX_WORD and not _HALF.search(text)


def _environment(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - one kind of error for every bad value
    if len(value) > _MAX_VARIABLES:
        raise InvalidPartError(f"{len(value)} variables", f"at most {_MAX_VARIABLES}")
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise InvalidPartError(
                NOT_SHOWN, "names of variables: letters, digits and _, not beginning with a digit"
            )
        if not isinstance(text, str) or not _is_word(text):
            expected = f"text of {_A_WORD}, in quotes, for {name}"
            raise InvalidPartError(NOT_SHOWN, expected)
    return tuple(value.items())


# --- the keys


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an entry: its check, what is expected, and what the documentation says.

    With `hides`, an invalid value is not shown, unless the check says what may be.
    """

    check: Callable[[object], Any]
    expected: str
    about: str
    hides: bool = False


KEYS: Final[Mapping[str, Key]] = {
    "name": Key(
        _name, "1 to 32 characters of a-z, 0-9, _ and -",
        "Required. The name in figures, status and log.",
    ),
    "command": Key(
        _words, "a list of words, such as [/usr/local/lib/pattoo/orders, --all]",
        "Required. The absolute path of the program, and its arguments. No shell reads them.", hides=True,
    ),
    "interval": Key(
        validators.seconds(1, MAX_INTERVAL_S), f"{A_TIME} a number of seconds from 1 to {MAX_INTERVAL_S}",
        f"The time from one run to the next. The default is {DEFAULT_INTERVAL_S:g} s.",
    ),
    "timeout": Key(
        validators.seconds(0.1, MAX_INTERVAL_S), f"{A_TIME} a number of seconds from 0.1 to {MAX_INTERVAL_S}",
        "The time after which a run is ended; at most the interval. The default is "
        f"{DEFAULT_TIMEOUT_S:g} s, or the interval if that is shorter.",
    ),
    "format": Key(
        validators.one_of(FORMATS), " or ".join(FORMATS),
        "What it prints: Prometheus's text format, or as a plugin of Nagios. The default is prometheus.",
    ),
    "environment": Key(
        _environment, "a mapping of texts, such as {PGHOST: /run/postgresql}",
        "Variables beside the few that every command has. Their values are never shown.", hides=True,
    ),
}  # fmt: skip
_REQUIRED: Final = ("name", "command")


# --- entries


def _checked(number: int, entry: object, parts: list[InvalidPart]) -> dict[str, Any]:
    """Return the checked values of an entry; add what is wrong with it to `parts`."""
    where = f"entry {number}"
    if not isinstance(entry, dict):
        expected = "a mapping with the keys name and command"
        parts.append(InvalidPart(where, "", NOT_SHOWN, expected))
        return {}
    name = entry.get("name")
    if isinstance(name, str) and _NAME.fullmatch(name):
        where = name
    given = {str(key): one for key, one in entry.items() if one is not None}
    parts += [
        InvalidPart(where, key, None, KEYS[key].expected, "is not set")
        for key in _REQUIRED
        if key not in given
    ]
    found: dict[str, Any] = {}
    for key, value in given.items():
        try:
            found[key] = _value(key, value)
        except InvalidPartError as error:
            wrong = "" if key in KEYS else "unknown key"
            parts.append(InvalidPart(where, key, error.given, error.expected, wrong))
    interval_s = found.get("interval", DEFAULT_INTERVAL_S)
    if found.get("timeout", 0) > interval_s:
        expected = f"at most the interval, {interval_s:g} s"
        parts.append(InvalidPart(where, "timeout", given["timeout"], expected))
    return found


def _value(key: str, value: object) -> object:
    """Return the checked value of a key. Raises `InvalidPartError`, with what may be shown of it."""
    if key not in KEYS:
        expected = validators.nearest(key.lower(), KEYS, f"one of {', '.join(KEYS)}")
        raise InvalidPartError(None, expected)
    one = KEYS[key]
    try:
        return one.check(value)
    except InvalidPartError:
        raise  # its check has hidden what is to be hidden
    except (ValueError, OverflowError):
        raise InvalidPartError(NOT_SHOWN if one.hides else value, one.expected) from None


def _command(found: Mapping[str, Any]) -> Command:
    interval_s = found.get("interval", DEFAULT_INTERVAL_S)
    return Command(
        found["name"],
        found["command"],
        interval_s,
        found.get("timeout", min(DEFAULT_TIMEOUT_S, interval_s)),
        found.get("format", PROMETHEUS),
        found.get("environment", ()),
    )

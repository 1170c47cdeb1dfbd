"""Reads one YAML file of settings: a mapping of sections, without tags and duplicate keys.

Numbers are YAML 1.1: `010` is eight (octal) and `1:30` is ninety (sexagesimal). An administrator
does not mean that, so such a number becomes an `AmbiguousNumber`, which no check accepts. Notations
of programmers, `0x1f` or `1_000`, mean the same to both and are accepted.

`unquoted` and `plain_decimal` help to explain why a value was refused; `redacted` keeps passwords out
of messages.
"""

from __future__ import annotations

import codecs
import errno
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import yaml

from pattoo_mp.errors import ConfigError
from pattoo_mp.util.files import path_permissions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


Sections = dict[str, dict[str, object]]

#: A configuration is a page of text; a larger file is not a configuration.
MAX_BYTES: Final = 1 << 20
#: The same for levels of lists and sections, for all lines and values, and for aliases. The library's time grows
#: with the square of the levels, and aliases of aliases stand for any amount of text.
_MAX_LEVELS: Final = 20
_MAX_EVENTS: Final = 20_000
_MAX_ALIASES: Final = 10
_MAX_BITS: Final = 8192


def read_sections(path: Path) -> Sections:
    """Read the sections of the file `path`.

    Raises `ConfigError`, or `FileNotFoundError` if there is no such file.
    """
    return _sections(path, _read(path))


def read_content(path: Path) -> object:
    """Read the file `path`, whatever it holds. Raises `ConfigError`."""
    try:
        return _read(path)
    except FileNotFoundError as error:
        raise _problem(path, "is gone") from error


def read_value(name: str, content: bytes) -> object:
    """Read the value of a variable of the environment. Raises `ConfigError`."""
    return _load(name, content)


def _read(path: Path) -> object:
    try:
        # Reading a FIFO would wait for a writer, and each process of the agent reads the file again.
        if stat.S_ISFIFO(path.stat().st_mode):
            raise _problem(path, "is a FIFO", "a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        owner = path_permissions(path) if error.errno == errno.EACCES else ""
        raise _problem(path, f"cannot be read ({error.strerror}){owner}") from error
    if len(content) > MAX_BYTES:
        raise _problem(path, f"is larger than {MAX_BYTES} bytes")
    return _load(path, content)


def _load(path: Path | str, content: bytes) -> object:
    text = _text(path, content)
    try:
        _check_events(path, yaml.parse(text, Loader=yaml.SafeLoader))
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        what, expected = _explain(error)
        raise _problem(path, f"{where}{what}", expected) from error
    except yaml.reader.ReaderError as error:
        where = _line_after(text[: error.position])
        what = f"{where}: has the character U+{ord(text[error.position]):04X}"
        raise _problem(path, what, "YAML with printable characters only") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _problem(path, f"malformed: {reason}", "YAML") from error


def _check_events(path: Path | str, events: Iterable[yaml.Event]) -> None:
    """Raise `ConfigError` at the first event that no configuration has."""
    aliases = 0
    #: The anchors of the lists and sections that have begun, and not ended; None for those without one.
    around: list[str | None] = []
    for number, event in enumerate(events):
        tag = getattr(event, "tag", None)
        where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
        if tag is not None:
            # Not the tag itself: it may be a password that begins with !.
            raise _problem(
                path, f"{where}has a tag", "plain values; text that begins with ! needs quotes"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            around.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            around.pop()
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if event.anchor in around:
                raise _problem(path, f"{where}has the alias *{event.anchor} in what it names")
        _check_size(path, where, len(around), number, aliases)


def _check_size(path: Path | str, where: str, levels: int, events: int, aliases: int) -> None:
    if levels > _MAX_LEVELS:
        raise _problem(path, f"{where}has more than {_MAX_LEVELS} levels")
    if events > _MAX_EVENTS:
        raise _problem(path, f"{where}has more than {_MAX_EVENTS} values and sections up to here")
    if aliases > _MAX_ALIASES:
        raise _problem(path, f"{where}has more than {_MAX_ALIASES} aliases")


def _text(path: Path | str, content: bytes) -> str:
    """Decode a file: UTF-8, or UTF-16 if it begins with a byte order mark. Raises `ConfigError`."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8")
    except UnicodeDecodeError as error:
        where = _line_after(content[: error.start].decode("latin-1"))
        what = f"{where}: has the invalid byte {content[error.start]:#04x}"
        raise _problem(path, what, "text in UTF-8") from error


def _line_after(before: str) -> str:
    """The line number of what follows the text `before`."""
    return f"line {before.count(chr(10)) + 1}"


def _explain(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """What is wrong, and what was expected."""
    message = f"{error.context} {error.problem}"
    if "another document" in message:
        return "begins another document", "a single document"
    if "alias" in message:
        # Not its name: it may be a password that begins with *.
        return "has an alias of nothing", "YAML; text that begins with * needs quotes"
    return f"{error.problem or error.context}", "YAML"


def _sections(path: Path, content: object) -> Sections:
    """The sections of a parsed file; one that is not a mapping is kept as {"": its value}."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _problem(path, f"is a {_kind(content)}", "sections of settings")
    sections: Sections = {}
    for name, section in content.items():
        if section is not None and not isinstance(section, dict):
            # In the shared files, other programs may keep anything beside the agent's sections.
            sections[str(name)] = {"": section}
        else:
            sections[str(name)] = {str(key): value for key, value in (section or {}).items()}
    return sections


def _kind(content: object) -> str:
    return {"list": "list", "str": "text"}.get(type(content).__name__, type(content).__name__)


def _problem(path: Path | str, what: str, expected: str = "") -> ConfigError:
    usual = "a short value" if isinstance(path, str) else "a readable configuration file"
    return ConfigError([f"{path}: {what}; expected {expected or usual}"])


class _Loader(yaml.SafeLoader):
    """Keeps ambiguous numbers apart, and refuses duplicate keys (YAML would use the last one)."""

    def construct_whole_number(self, node: yaml.ScalarNode) -> object:
        return _as_written(node.value, self.construct_yaml_int(node))

    def construct_fraction(self, node: yaml.ScalarNode) -> object:
        return _as_written(node.value, self.construct_yaml_float(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key.value}", key.start_mark
                )
            seen.add(key.value)
        return mapping


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_fraction)


# --- numbers and texts that mean different things to YAML and to people


@dataclass(frozen=True, slots=True, repr=False)
class AmbiguousNumber:
    """A number that YAML reads as another one than a person does; no check accepts it."""

    written: str
    value: float

    def __repr__(self) -> str:
        """As a message shows it."""
        return f"{self.written}, which YAML reads as {self.value}"


def _as_written(text: str, value: float) -> float | AmbiguousNumber:
    """Return `value`, which YAML reads in `text`, if a person reads the same."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        # Python converts none to decimal that is much larger, as for a message.
        raise ValueError("a number of very many digits")
    if ":" in text:
        return AmbiguousNumber(text, value)
    try:
        is_same = int(text.replace("_", "")) == value
    except ValueError:  # a fraction, or a number in hexadecimal or binary
        return value
    return value if is_same else AmbiguousNumber(text, value)


def plain_decimal(value: object) -> object:
    """Return the number that the author most likely meant; any other value as it is."""
    if isinstance(value, AmbiguousNumber):
        return value.value
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number


def unquoted(value: object) -> object:
    """Return the number or boolean that YAML reads in a text without quotes; else the value as it is."""
    if not isinstance(value, str):
        return value
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    try:
        found = loader.construct_object(yaml.ScalarNode(tag, value))
    except (yaml.YAMLError, ValueError, OverflowError):
        return value
    return found if isinstance(found, (int, float)) else value


# --- secrets in values that messages show

#: A part of a URL: some servers take a token in what follows it.
_BEFORE_QUERY: Final = re.compile(r"[^\s?#]+")

#: Shown in place of a value that may be a secret.
NOT_SHOWN: Final = "(not shown)"


def redacted(value: object) -> object:
    """Return the value without the user, password and query of any URL in it."""
    if isinstance(value, str):
        return _without_query(_without_user(value))
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if isinstance(value, dict):
        return {redacted(name): redacted(one) for name, one in value.items()}
    return value


def _without_user(text: str) -> str:
    """Cut out user and password before the host of a URL, up to the last @: a password may hold any character.

    Not by a regular expression: its time would grow with the square of the length.
    """
    end = text.rfind("@")
    colon = text.find(":", 0, max(end, 0))
    if colon < 0:
        return text
    before = text[:colon].split()
    is_word = bool(before) and not text[colon - 1].isspace()
    begin = colon - len(before[-1]) if is_word else colon
    return f"{text[:begin]}…{text[end:]}"


def _without_query(text: str) -> str:
    """Cut off what follows the path of the first URL that goes on after it."""
    for part in _BEFORE_QUERY.finditer(text):
        end = part.end() + 1
        if "://" in part[0] and text[end - 1 : end] in {"?", "#"} and end < len(text):
            return f"{text[:end]}…"
    return text

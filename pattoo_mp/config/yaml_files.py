"""Numbers as people write them, and as YAML 1.1 reads them: pure.

To YAML 010 is eight, in octal, and 1:30 is ninety, in sixties. Nobody who writes a configuration
means that. What a programmer writes, 0x1f or 1_000, is read as it is meant.
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
from pattoo_mp.util.files import denied

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class Misread:
    """What stands in a file as a number, and is another to YAML: no check takes it for one."""

    written: str
    value: float

    def __repr__(self) -> str:
        """As a message shows it."""
        return f"{self.written}, which YAML reads as {self.value}"


def as_written(text: str, value: float) -> float | Misread:
    """The number that YAML makes of `text`, if a person reads the same there."""
    if ":" in text:
        return Misread(text, value)
    try:
        is_same = int(text.replace("_", "")) == value
    except ValueError:  # a fraction, or a number in hexadecimal or binary
        return value
    return value if is_same else Misread(text, value)


def meant(value: object) -> object:
    """The number that is most likely meant by what is none to YAML; all else as it is."""
    if isinstance(value, Misread):
        return value.value
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number


# Reads one YAML file of settings: a mapping of sections, no tags, no key twice.

Sections = dict[str, dict[str, object]]

#: A configuration is a page of text; a larger file is some other file.
_MAX_BYTES: Final = 1 << 20


def read_sections(path: Path) -> Sections:
    """Read `path`. Raises `ConfigError`, or `FileNotFoundError` if there is no such file."""
    try:
        # It would wait for who writes into it, and each of ours reads it anew.
        if stat.S_ISFIFO(path.stat().st_mode):
            raise _problem(path, "is a FIFO", "a regular file")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        whose = denied(path) if error.errno == errno.EACCES else ""
        raise _problem(path, f"cannot be read ({error.strerror}){whose}") from error
    if len(content) > _MAX_BYTES:
        raise _problem(path, f"is larger than {_MAX_BYTES} bytes")
    return _sections(path, _load(path, content))


def _load(path: Path, content: bytes) -> object:
    text = _text(path, content)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            tag = getattr(event, "tag", None)
            if tag is not None:
                where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
                raise _problem(path, f"{where}has a tag ({tag})", "plain values")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        what, expected = _in_words(error)
        raise _problem(path, f"{where}{what}", expected) from error
    except yaml.reader.ReaderError as error:
        where = _line(text[: error.position])
        what = f"{where}: has the character U+{ord(text[error.position]):04X}"
        raise _problem(path, what, "YAML, of printable characters") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _problem(path, f"malformed: {reason}", "YAML") from error


def _text(path: Path, content: bytes) -> str:
    """The text of a file, which may be in UTF-16 if it begins so. Raises `ConfigError`."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8")
    except UnicodeDecodeError as error:
        where = _line(content[: error.start].decode("latin-1"))
        what = f"{where}: has the byte {content[error.start]:#04x}, which is no UTF-8"
        raise _problem(path, what, "a text in UTF-8") from error


def _line(before: str) -> str:
    """Where it is that comes after this."""
    return f"line {before.count(chr(10)) + 1}"


def _in_words(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """What is wrong, and what is expected."""
    said = f"{error.context} {error.problem}"
    if "another document" in said:
        return "begins another document", "a single one"
    if "alias" in said:
        return f"{error.problem}", "YAML; text that begins with * wants quotes"
    return f"{error.problem or error.context}", "YAML"


def _sections(path: Path, content: object) -> Sections:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _problem(path, f"is a {_kind(content)}", "sections of settings")
    sections: Sections = {}
    for name, section in content.items():
        if section is not None and not isinstance(section, dict):
            # Other programs keep what they like beside the sections that are ours.
            sections[str(name)] = {"": section}
        else:
            sections[str(name)] = {str(key): value for key, value in (section or {}).items()}
    return sections


def unquoted(value: object) -> object:
    """The number, or true or false, that a text is to YAML without quotes; all else as it is."""
    if not isinstance(value, str):
        return value
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    try:
        found = loader.construct_object(yaml.ScalarNode(tag, value))
    except (yaml.YAMLError, ValueError, OverflowError):
        return value
    return found if isinstance(found, (int, float)) else value


class _Loader(yaml.SafeLoader):
    """Reads numbers as people do, and refuses a key that stands twice: the second would win."""

    def construct_whole_number(self, node: yaml.ScalarNode) -> object:
        return as_written(node.value, self.construct_yaml_int(node))

    def construct_fraction(self, node: yaml.ScalarNode) -> object:
        return as_written(node.value, self.construct_yaml_float(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} stands twice", key.start_mark
                )
            seen.add(key.value)
        return mapping


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_fraction)


def _kind(content: object) -> str:
    return {"list": "list", "str": "text"}.get(type(content).__name__, type(content).__name__)


def _problem(path: Path, what: str, expected: str = "a readable configuration file") -> ConfigError:
    return ConfigError([f"{path}: {what}; expected {expected}"])


# Keeps secrets that stand where they should not out of what is shown: pure.

#: A user and a password before a host, as far as they may go: a password may hold any character.
_BEFORE_HOST: Final = re.compile(r"\S*:.*@", re.DOTALL)

#: Stands for a value that may be a secret as a whole.
NOT_SHOWN: Final = "(not shown)"


def redacted(value: object) -> object:
    """The same value, without the user and password of a URL, wherever it stands in it."""
    if isinstance(value, str):
        return _BEFORE_HOST.sub("…@", value)
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if isinstance(value, dict):
        return {redacted(name): redacted(one) for name, one in value.items()}
    return value

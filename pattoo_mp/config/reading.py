"""Reads the configuration files, and checks each setting. Changes nothing.

`read_files` and `read_within` return all settings with their files and problems, for --check and
--doctor, and for `load`. All problems are reported together, in one line each: file, section,
setting, value and what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import targets, validators
from pattoo_mp.config.consistency import misplaced_settings, unused_settings
from pattoo_mp.config.layers import (
    Layer,
    Layers,
    merged,
    read_layers,
    read_variables,
    unknown_variables,
)
from pattoo_mp.config.settings import (
    LATER_SHARED_FILE,
    SERVER,
    SHARED_FILE,
    agent_file,
    defaults,
    program_settings,
)
from pattoo_mp.config.validators import InvalidPart, InvalidPartError, InvalidPartsError
from pattoo_mp.config.yaml_files import (
    NOT_SHOWN,
    Sections,
    plain_decimal,
    redacted,
    unquoted,
)
from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.paths import DEFAULT_DIRECTORY, OPTION, VARIABLE
from pattoo_mp.timelimit.deadline import NoAnswerError, TimeLimited
from pattoo_mp.util.text import either

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pattoo_mp.config.settings import Setting

#: The longest value, in characters, that a message shows whole.
_VALUE_IN_MESSAGE: Final = 60
#: How long reading may take, in seconds: the files may be on a file system that hangs.
_READ_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """One setting as it is configured.

    `path` is the file that it was looked up in. `given` is its value there, redacted, or its default if
    nothing sets it (`is_set` is false). `value` is the checked value, or None if there is a problem with
    it. `sources` are the files and the variables that set it, and `place` is the last one with the
    setting, as messages begin.
    """

    setting: Setting
    path: Path
    given: object
    is_set: bool
    value: Any = None
    sources: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """All settings as configured; `found` is empty if a file could not be read.

    `problems` has one line for each problem; `notes` tell of settings that have no effect.
    """

    found: tuple[Found, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by the key of their setting."""
        return {found.setting.key: found.value for found in self.found}


def read_within(directory: Path, read_s: float = _READ_S) -> Reading:
    """Read the files in `directory`. Raises `ConfigError` also if that takes more than `read_s`."""
    limited: TimeLimited[Path, Reading] = TimeLimited("configuration", read_files, read_s)
    try:
        return limited.ask_one(directory)
    except NoAnswerError as error:
        raise ConfigError([f"{directory}: {error}; expected files that can be read"]) from error


def read_files(directory: Path) -> Reading:
    """Read and check the files in `directory`; the result holds any problems with them.

    Raises `ConfigError` only if the directory does not exist or is not accessible.
    """
    require_directory(directory)
    return _read_all(directory)


def require_directory(directory: Path) -> None:
    """Raise `ConfigError` if the directory does not exist or is not accessible."""
    try:
        is_there = directory.is_dir()
    except PermissionError as error:
        problem = f"{where_and_why(error)}; expected files that can be read"
        raise ConfigError([problem]) from error
    if not is_there:
        raise ConfigError(
            [
                f"{directory}: no such directory; expected the one that {OPTION} or {VARIABLE} names, "
                f"or {DEFAULT_DIRECTORY} without them"
            ]
        )


def _read_all(directory: Path) -> Reading:
    """Read and check the files in `directory`; change nothing."""
    problems: list[str] = []
    notes: list[str] = []
    variables = read_variables(problems)
    files = {
        name: read_layers(
            directory / name,
            problems,
            notes,
            variables=variables,
            optional=name == LATER_SHARED_FILE,
        )
        for name in (SHARED_FILE, agent_file(), LATER_SHARED_FILE)
    }
    shared, own, later = files.values()
    if problems:
        return Reading((), tuple(problems))
    is_later = later.has(SERVER)
    found = [
        read_setting(
            setting,
            later if setting.section == SERVER and is_later else files[setting.file],
            problems,
        )
        for setting in program_settings()
    ]
    found = _with_target_files(found, problems)
    problems += unknown_variables()
    for layer in own.files:
        problems += _unknown(layer.source, layer.sections)
    notes += _misplaced(files)
    values = Reading(tuple(found), ()).values
    places = {one.setting.name: one.place for one in found if one.setting.file == agent_file()}
    for line in unused_settings(defaults() | values):
        name, _, what = line.partition(":")
        notes.append(f"{places[name]}:{what}")
    if is_later and shared.has(SERVER):
        notes.append(f"{shared.path}: {SERVER} is ignored: {later.path} has this section too")
    return Reading(tuple(found), tuple(problems), tuple(notes))


def _misplaced(files: Mapping[str, Layers]) -> Iterator[str]:
    for name, layers in files.items():
        for layer in layers.files:
            for line in misplaced_settings({name: layer.sections}):
                yield f"{layer.source}{line.removeprefix(name)}"


def read_setting(setting: Setting, layers: Layers, problems: list[str]) -> Found:
    """Look up and check one setting in the layers of a file. Adds a problem with it to `problems`."""
    path = layers.path
    unset = Found(setting, path, None, is_set=False)
    if plain := [layer for layer in layers.files if "" in layer.sections.get(setting.section, {})]:
        for layer in plain:  # the section is a plain value
            value = format_value(layer.sections[setting.section][""])
            line = f"{layer.source}: {setting.section}: is {value}; expected settings below it"
            problems += [line] if line not in problems else []
        return unset
    by = layers.that_set(setting)
    if not by and setting.is_required:
        problems.append(
            f"{path}: {setting.section}: {setting.name} is not set; expected {setting.expected}"
        )
        return unset
    given = merged(by, setting) if by else setting.default
    sources = tuple(map(layers.name_of, by))
    place = by[-1].place_of(setting) if by else f"{path}: {setting.section}: {setting.name}"
    found = Found(setting, path, setting.shown(given), bool(by), None, sources, place)
    try:
        return replace(found, value=setting.check(given))
    except InvalidPartsError as error:
        start = _culprit(by, setting).place_of(setting)
        problems += [f"{start}: {_part_line(part)}" for part in error.parts]
        return found
    except (ValueError, OverflowError) as error:
        invalid = (
            error
            if isinstance(error, InvalidPartError)
            else InvalidPartError(given, setting.expected)
        )
        text = NOT_SHOWN if setting.hides else format_value(setting.shown(invalid.given))
        expected = f"{invalid.expected}{_notation_hint(setting.check, given)}"
        start = _culprit(by, setting).place_of(setting)
        problems.append(f"{start}: {text}; expected {expected}")
        return replace(found, given=NOT_SHOWN) if setting.hides else found


def _culprit(by: Sequence[Layer], setting: Setting) -> Layer:
    """The last layer whose own part of a bad value is bad."""
    bad = [one for one in by if not _is_accepted(setting.check, one.value_of(setting))]
    return (bad or by)[-1]


def _with_target_files(found: list[Found], problems: list[str]) -> list[Found]:
    """Return the settings with the targets of the files that a hub's settings name."""
    directory = next((one.value for one in found if one.setting.name == "targets_directory"), None)
    return [
        replace(one, value=targets.with_files(one.value, directory, problems, _part_line))
        if one.setting.key == "targets" and one.value is not None
        else one
        for one in found
    ]


def _part_line(part: InvalidPart) -> str:
    """What is wrong with a part of a value, and what was expected."""
    key = f"{_format_name(part.key)}: " if part.key else ""
    return f"{part.where}: {key}{part.wrong or format_value(part.given)}; expected {part.expected}"


def _unknown(path: Path | str, sections: Sections) -> list[str]:
    """Report unknown names in the agent's own file: most likely typos."""
    ours = [setting for setting in program_settings() if setting.file == agent_file()]
    section_names = {setting.section for setting in ours}
    known = [setting.name for setting in ours]
    problems = [
        f"{path}: {_format_name(name)}: unknown section; expected {either(sorted(section_names))}"
        for name in sections
        if name not in section_names
    ]
    for section in section_names:
        problems += [
            f"{path}: {section}: {_format_name(key)}: unknown setting; "
            f"expected {_expected_setting(key, known)}"
            for key in sections.get(section, {})
            if key and key not in known
        ]
    return problems


def _expected_setting(key: str, known: Sequence[str]) -> str:
    """The most similar setting, or the command that prints all of them: they fill a screen."""
    every = f"one that --sample-config --file {agent_file()} prints"
    return validators.nearest(key.lower(), known, every)


def _format_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _VALUE_IN_MESSAGE else format_value(name)


def format_value(value: object) -> str:
    """A value as a message shows it: redacted, on one line, and cut if it is long."""
    text = repr(redacted(value))
    return text if len(text) <= _VALUE_IN_MESSAGE else f"{text[:_VALUE_IN_MESSAGE]}…"


def _notation_hint(check: Callable[[object], object], given: object) -> str:
    """How to write `given`, which `check` refused, if only its notation is wrong; else empty."""
    if _is_accepted(check, _map_scalars(unquoted, given)):
        return ", without quotes"
    if _is_accepted(check, _map_scalars(plain_decimal, given)):
        return ", in plain decimals"
    return ""


def _is_accepted(check: Callable[[object], object], value: object) -> bool:
    try:
        check(value)
    except (ValueError, OverflowError):
        return False
    return True


def _map_scalars(change: Callable[[object], object], value: object) -> object:
    """The value with each scalar in it changed."""
    if isinstance(value, list):
        return [_map_scalars(change, one) for one in value]
    if isinstance(value, dict):
        return {name: _map_scalars(change, one) for name, one in value.items()}
    return change(value)

"""Reads the configuration files against the declared settings, and keeps where each value is from."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config.astray import astray
from pattoo_mp.config.choices import UnfitError
from pattoo_mp.config.conceal import NOT_SHOWN, concealed
from pattoo_mp.config.hints import hint
from pattoo_mp.config.settings import AGENT_FILE, LATER_SHARED_FILE, SERVER, SETTINGS, SHARED_FILE
from pattoo_mp.config.without_effect import without_effect
from pattoo_mp.config.yamlfile import Sections, read_sections
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pattoo_mp.config.setting import Setting

_VALUE_IN_MESSAGE: Final = 60


@dataclass(frozen=True, slots=True)
class Found:
    """One setting as it is configured.

    `given` is what the file at `path` says, as it may be shown, or the default if it says nothing
    (`is_set` is false). `value` is that, checked; None where there is a problem with it.
    """

    setting: Setting
    path: Path
    given: object
    is_set: bool
    value: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """All settings as configured; nothing is `found` where a file could not be read.

    `problems` has a line for each: file, section, key, value and what is expected. `notes` say
    what is no problem, but may be a surprise.
    """

    found: tuple[Found, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by the names of their settings."""
        return {found.setting.name: found.value for found in self.found}


def read(directory: Path) -> Reading:
    """Read and check the files in `directory`; touch nothing."""
    problems: list[str] = []
    files = {name: read_file(directory / name, problems) for name in (SHARED_FILE, AGENT_FILE)}
    later_path = directory / LATER_SHARED_FILE
    later = read_file(later_path, problems, optional=True)
    if problems:
        return Reading((), tuple(problems))
    found = [
        find(setting, later_path, later, problems)
        if setting.file == SHARED_FILE and setting.section == SERVER and SERVER in later
        else find(setting, directory / setting.file, files[setting.file], problems)
        for setting in SETTINGS
    ]
    problems += _unknown(directory / AGENT_FILE, files[AGENT_FILE])
    notes = [f"{directory}/{line}" for line in astray({**files, LATER_SHARED_FILE: later})]
    values = Reading(tuple(found), ()).values
    notes += [f"{directory / AGENT_FILE}: {PROGRAM}: {line}" for line in without_effect(values)]
    if SERVER in later and SERVER in files[SHARED_FILE]:
        notes.append(
            f"{directory / SHARED_FILE}: {SERVER} does not count: {later_path} has that section"
        )
    return Reading(tuple(found), tuple(problems), tuple(notes))


def read_file(path: Path, problems: list[str], *, optional: bool = False) -> Sections:
    """The sections of one file; what is wrong with it as a whole is added to `problems`."""
    try:
        return read_sections(path)
    except FileNotFoundError:
        if not optional:
            problems.append(
                f"{path}: no such file; expected what --sample-config --file {path.name} prints"
            )
    except ConfigError as error:
        problems += error.problems
    return {}


def find(setting: Setting, path: Path, sections: Sections, problems: list[str]) -> Found:
    """One setting in the sections of the file at `path`; a problem is added to `problems`."""
    section = sections.get(setting.section, {})
    if "" in section:
        what = f"{setting.section}: is {shown(section[''])}; expected settings below it"
        if f"{path}: {what}" not in problems:
            problems.append(f"{path}: {what}")
        return Found(setting, path, None, is_set=False)
    given = section.get(setting.name)
    is_set = given is not None
    if not is_set and setting.is_required:
        problems.append(
            f"{path}: {setting.section}: {setting.name} is not set; expected {setting.expected}"
        )
        return Found(setting, path, None, is_set=False)
    given = given if is_set else setting.default
    try:
        return Found(setting, path, concealed(given), is_set, setting.check(given))
    except (ValueError, OverflowError) as error:
        wrong = error if isinstance(error, UnfitError) else UnfitError(given, setting.expected)
        said = NOT_SHOWN if setting.hides else shown(wrong.given)
        expected = f"{wrong.expected}{hint(setting.check, given)}"
        problems.append(f"{path}: {setting.section}: {setting.name}: {said}; expected {expected}")
        return Found(setting, path, NOT_SHOWN if setting.hides else concealed(given), is_set)


def _unknown(path: Path, sections: Sections) -> list[str]:
    """Name what does not belong into the agent's own file: most often a slip of the pen."""
    ours = [setting for setting in SETTINGS if setting.file == AGENT_FILE]
    section_names = {setting.section for setting in ours}
    known = [setting.name for setting in ours]
    problems = [
        f"{path}: {_shown_name(name)}: unknown section; expected {' or '.join(sorted(section_names))}"
        for name in sections
        if name not in section_names
    ]
    for section in section_names:
        problems += [
            f"{path}: {section}: {_shown_name(key)}: unknown setting; "
            f"expected {_instead_of(key, known)}"
            for key in sections.get(section, {})
            if key and key not in known
        ]
    return problems


def _instead_of(key: str, known: Sequence[str]) -> str:
    """The setting that was most likely meant, or the way to all of them: they are a screenful."""
    near = get_close_matches(key.lower(), known, 1)
    return near[0] if near else f"one that --sample-config --file {AGENT_FILE} prints"


def _shown_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _VALUE_IN_MESSAGE else shown(name)


def shown(value: object) -> str:
    """A value as a message shows it: on one line, not too long, and with no password of a URL's."""
    text = repr(concealed(value))
    return text if len(text) <= _VALUE_IN_MESSAGE else f"{text[:_VALUE_IN_MESSAGE]}…"

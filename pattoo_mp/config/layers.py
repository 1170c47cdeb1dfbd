"""What sets the settings of a file: the file, then those in its directory `NAME.d`, then variables.

Later ones win. Mappings are merged, key by key; anything else is replaced as a whole. A setting without a
value (an empty variable, `name:` in a file) is not set there, so what came before holds.

A variable is called `PATTOO_AGENT_` and the setting's name in capitals (`Setting.variable`), and its value is
YAML, as in a file. Variables are not for secrets; no setting holds one, but `headers` of an output may.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.config import validators
from pattoo_mp.config.settings import program_settings
from pattoo_mp.config.values import VARIABLES
from pattoo_mp.config.yaml_files import MAX_BYTES, Sections, read_sections, read_value
from pattoo_mp.errors import ConfigError, where_and_why
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from pattoo_mp.config.settings import Setting

_SUFFIX: Final = ".yaml"
MAX_FILES: Final = 100
#: Names that a person may take for one that is read.
_SIMILAR_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json", ".conf"})
_NAME_IN_MESSAGE: Final = 80

#: What Kubernetes and Docker set in each container of a namespace that has a service called pattoo-agent.
_OF_SERVICES: Final = re.compile(
    r".*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_ADDRESS_OF_SERVICE: Final = re.compile(r"(tcp|udp|sctp)://\S+")


@dataclass(frozen=True, slots=True)
class Layer:
    """One file, by its path, or one variable, by its name, with the settings in it."""

    source: Path | str
    sections: Sections

    @property
    def is_set(self) -> bool:
        """Whether anything is set here."""
        return any(one is not None for part in self.sections.values() for one in part.values())

    def value_of(self, setting: Setting) -> object:
        """The value of a setting; None if it is not set here."""
        return self.sections.get(setting.section, {}).get(setting.name)

    def place_of(self, setting: Setting) -> str:
        """Where this layer has a setting, as messages begin."""
        if isinstance(self.source, str):
            return self.source
        return f"{self.source}: {setting.section}: {setting.name}"


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of the file `path`, which may itself be missing: files, then variables of any file."""

    path: Path
    files: tuple[Layer, ...]
    variables: tuple[Layer, ...] = ()

    @classmethod
    def of(cls, path: Path, sections: Sections) -> Layers:
        """Return those of one file."""
        return cls(path, (Layer(path, sections),))

    def has(self, section: str) -> bool:
        """Whether a file has a section."""
        return any(section in layer.sections for layer in self.files)

    def that_set(self, setting: Setting) -> list[Layer]:
        """The layers that set a setting and count, the first ones first."""
        found = [x for x in (*self.files, *self.variables) if x.value_of(setting) is not None]
        # Only mappings let anything of an earlier layer count.
        while len(found) > 1 and not all(isinstance(x.value_of(setting), dict) for x in found):
            del found[0]
        return found

    def name_of(self, layer: Layer) -> str:
        """The name of a layer for people, without the directory of the configuration."""
        if isinstance(layer.source, str):
            return layer.source
        return str(layer.source.relative_to(self.path.parent))


def merged(layers: list[Layer], setting: Setting) -> object:
    """Return the value of a setting that all these layers set."""
    found: object = None
    for layer in layers:
        found = _merge(found, layer.value_of(setting))
    return found


def _merge(before: object, after: object) -> object:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return before | {name: _merge(before.get(name), value) for name, value in after.items()}


# --- files


def read_layers(
    path: Path,
    problems: list[str],
    notes: list[str] | None = None,
    *,
    variables: tuple[Layer, ...] = (),
    optional: bool = False,
) -> Layers:
    """Read a file of settings and those in its directory; the line of each problem goes to `problems`.

    The file must exist, unless it is `optional`, or other files or variables stand in for it.
    """
    others = tuple(_read_directory(directory_of(path), problems, [] if notes is None else notes))
    sections = {s.section for s in program_settings() if s.file == path.name}
    stands_in = bool(others) or any(sections & layer.sections.keys() for layer in variables)
    first: tuple[Layer, ...] = ()
    try:
        first = (Layer(path, read_sections(path)),)
    except FileNotFoundError:
        if not optional and not stands_in:
            problems.append(
                f"{path}: no such file; expected what --sample-config --file {path.name} prints"
            )
        elif not optional and notes is not None:
            notes.append(f"{path}: no such file; what is not set elsewhere has its default")
    except ConfigError as error:
        problems += error.problems
    return Layers(path, (*first, *others), variables)


def directory_of(path: Path) -> Path:
    """The directory of the further files of a file."""
    return path.with_name(f"{path.name}.d")


def files_in(directory: Path) -> list[Path]:
    """Return the files that are read in such a directory, in order; none if there is no such directory.

    Raises `OSError` if it cannot be listed.
    """
    try:
        found = list(directory.iterdir())
    except FileNotFoundError:
        return []
    return sorted(path for path in found if _is_read(path))


def _is_read(path: Path) -> bool:
    # One that begins with a dot is being written, or an editor's.
    return path.name.endswith(_SUFFIX) and not path.name.startswith(".")


def _read_directory(directory: Path, problems: list[str], notes: list[str]) -> Iterator[Layer]:
    try:
        paths = files_in(directory)
        notes += map(_ignored, _similar_in(directory))
        size = sum(path.stat().st_size for path in paths if path.exists())
    except OSError as error:
        if isinstance(error, PermissionError) and not os.access(directory.parent, os.X_OK):
            return  # nor can the file be read, whose problem says so
        problems.append(f"{where_and_why(error)}; expected a directory of *{_SUFFIX} files")
        return
    if len(paths) > MAX_FILES:
        problems.append(f"{directory}: {len(paths)} files; expected at most {MAX_FILES}")
        return
    if size > MAX_BYTES:
        problems.append(
            f"{directory}: {size} bytes in all; expected at most {MAX_BYTES} in these files"
        )
        return
    for path in paths:
        try:
            yield Layer(path, read_sections(path))
        except FileNotFoundError:
            problems.append(f"{path}: no such file; expected one, or no link to it")
        except ConfigError as error:
            problems += error.problems


def _similar_in(directory: Path) -> list[Path]:
    """The files that are not read, although a person may think so."""
    found = directory.iterdir() if directory.exists() else ()
    return sorted(
        path
        for path in found
        if not _is_read(path)
        and not path.name.startswith(".")
        and path.suffix.lower() in _SIMILAR_SUFFIXES
    )


def _ignored(path: Path) -> str:
    return f"{path}: is not read; expected a name that ends in {_SUFFIX}"


# --- variables


def read_variables(
    problems: list[str],
    environment: Mapping[str, str] = os.environ,
    *,
    only: Collection[str] | None = None,
) -> tuple[Layer, ...]:
    """Return a layer for each variable of the environment that sets a setting of this program.

    Each malformed one gets a line in `problems`. With `only`, those of other settings are left alone.
    """
    found = []
    for setting in program_settings():
        text = environment.get(setting.variable)
        if text is None or (only is not None and setting.name not in only):
            continue
        try:
            value = read_value(setting.variable, os.fsencode(text))
        except ConfigError as error:
            problems += error.problems
        else:
            found.append(Layer(setting.variable, {setting.section: {setting.name: value}}))
    return tuple(found)


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a line for each variable that is called like those of settings, and is none."""
    known = [setting.variable for setting in program_settings()]
    return [
        _unknown(name, known)
        for name, text in sorted(environment.items())
        if name.startswith(VARIABLES) and name not in known and not _is_of_a_service(name, text)
    ]


def _is_of_a_service(name: str, text: str) -> bool:
    if name.endswith("_PORT") and _ADDRESS_OF_SERVICE.fullmatch(text):
        return True
    return bool(_OF_SERVICES.fullmatch(name))


def _unknown(name: str, known: Collection[str]) -> str:
    expected = validators.nearest(name.upper(), known, "the name of a setting in capitals")
    shown = printable(name[:_NAME_IN_MESSAGE])
    return f"{shown}: unknown variable; expected {expected}, or a name without {VARIABLES}"

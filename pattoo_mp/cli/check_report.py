"""What `--check` found, in words and as data: pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp.config import named_directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pattoo_mp.config import Config
    from pattoo_mp.directories import State
    from pattoo_mp.doctor.server import Asked
    from pattoo_mp.reading import Found, Reading

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """The configuration in `directory`.

    With a problem in a file there is no `config`, and neither directory nor server was looked at.
    """

    directory: Path
    reading: Reading
    problems: list[str]
    config: Config | None = None
    states: Mapping[Path, State] = field(default_factory=dict)
    server: Asked | None = None

    @property
    def is_well(self) -> bool:
        """Whether an agent could start, and post."""
        return not self.problems and self.server is not None and not self.server.error


def lines(checked: Checked) -> list[str]:
    """A line for each setting, directory and server; what is wrong is told elsewhere."""
    text = [f"Configuration in {checked.directory}", *_settings(checked)]
    text += [f"  Note: {note}" for note in checked.reading.notes]
    if checked.config is not None:
        text += ["", "Directories"]
        text += _columns(_directories(checked.config, checked.states), indent=2)
    if checked.server is not None:
        text += ["", "Server", f"  {checked.server.url}  {_answer(checked.server)}"]
    return [*text, "", "All is well."] if checked.is_well else text


def fields(checked: Checked) -> dict[str, Any]:
    """The same for a program. `schema` changes when a field changes its meaning or goes."""
    server = checked.server
    return {
        "schema": SCHEMA,
        "directory": str(checked.directory),
        "settings": [
            {
                "file": found.path.name,
                "section": found.setting.section,
                "name": found.setting.name,
                "value": _plain(_in_force(found, checked.config)),
                "is_set": found.is_set,
            }
            for found in checked.reading.found
        ],
        "directories": [
            {"path": str(path), "is_there": state.is_there, "problem": state.problem}
            for path, state in checked.states.items()
        ],
        "server": server
        and {
            "url": server.url,
            "error": server.error,
            "round_trip_s": round(server.round_trip_s, 6),
        },
        "notes": list(checked.reading.notes),
        "problems": checked.problems,
    }


def _settings(checked: Checked) -> Iterator[str]:
    found = checked.reading.found
    rows = [(one.setting.name, str(_in_force(one, checked.config)), _source(one)) for one in found]
    table = iter(_columns(rows, indent=4))
    for section, group in groupby(found, lambda one: one.setting.section):
        yield f"  {section}"
        yield from (next(table) for _ in group)


def _in_force(found: Found, config: Config | None) -> object:
    """The value as the file has it; where a default depends on another setting, what it gives."""
    if found.given is None and config is not None:
        return getattr(config, found.setting.name)
    return "not set" if found.given is None else found.given


def _source(found: Found) -> str:
    if found.is_set:
        return found.path.name
    is_elsewhere = found.path.name != found.setting.file
    return f"default (not in {found.path.name})" if is_elsewhere else "default"


def _directories(config: Config, states: Mapping[Path, State]) -> Iterator[tuple[str, str]]:
    for _, path in named_directories(config):
        state = states[path]
        made = "is there" if state.is_there else "is made at the start"
        yield str(path), state.problem or made


def _answer(server: Asked) -> str:
    milliseconds = f"{server.round_trip_s * 1000:.0f} ms"
    if server.error:
        return f"{server.error} (after {milliseconds})"
    return f"is well, and answers within {milliseconds}"


def _columns(rows: Iterable[tuple[str, ...]], indent: int) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [" " * indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def _plain(value: object) -> object:
    """What JSON can say of a value; a YAML file may hold a date, say."""
    return value if isinstance(value, (str, int, float, bool)) else str(value)

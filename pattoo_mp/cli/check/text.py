"""What `--check` found, in words: pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pattoo_mp.config.load import named_directories
from pattoo_mp.util import text
from pattoo_mp.util.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pattoo_mp.cli.check.checked import Checked
    from pattoo_mp.config.host_checks import State
    from pattoo_mp.config.load import Found
    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.server import Asked


def lines(checked: Checked) -> list[str]:
    """A line for each setting, directory and server; what is wrong is told elsewhere."""
    report = [f"Configuration in {checked.directory}", *_settings(checked)]
    report += [f"  Note: {printable(note)}" for note in checked.reading.notes]
    if checked.config is not None:
        report += ["", "Directories"]
        report += _columns(_directories(checked.config, checked.states), indent=2)
    if checked.server is not None:
        report += ["", "Server"]
        report += _columns([(one.url, _answer(one)) for one in checked.servers], indent=2)
    return [*report, "", "All is well."] if checked.is_well else report


def _settings(checked: Checked) -> Iterator[str]:
    found = checked.reading.found
    rows = [(one.setting.name, _value(checked, one), _source(one)) for one in found]
    table = iter(_columns(rows, indent=4))
    for section, group in groupby(found, lambda one: one.setting.section):
        yield f"  {section}"
        yield from (next(table) for _ in group)


def _value(checked: Checked, found: Found) -> str:
    value = checked.in_force(found)
    return "not set" if value is None else printable(str(value))


def _source(found: Found) -> str:
    if found.is_set:
        return found.path.name
    is_elsewhere = found.path.name != found.setting.file
    return f"default (not in {found.path.name})" if is_elsewhere else "default"


def _directories(config: Config, states: Mapping[Path, State]) -> Iterator[tuple[str, str]]:
    for _, path in named_directories(config):
        state = states[path]
        made = "is there" if state.is_there else "is made at the start"
        yield printable(str(path)), state.problem or made


def _answer(server: Asked) -> str:
    took = text.duration(server.round_trip_s)
    return f"{server.error} (after {took})" if server.error else f"is well, answers within {took}"


def _columns(rows: Iterable[tuple[str, ...]], indent: int) -> list[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [" " * indent + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]

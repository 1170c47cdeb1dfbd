"""A look at the host as a document for a script: exact values, described by `once.schema.json`."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__
from pattoo_mp.cli.output import DONE, FAILED, show_any_letter
from pattoo_mp.collect.filters import Filters
from pattoo_mp.config import isolated
from pattoo_mp.config.families import EVERY
from pattoo_mp.doctor.polls import DEFAULT, snapshot
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import PROGRAM
from pattoo_mp.paths import config_directory
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.polls import Answer, Figure, Snapshot
    from pattoo_mp.model import Pair, Value


#: It grows when a script that reads the document could no longer read it. What is only added
#: to the document leaves it as it is.
SCHEMA: Final = 1


def document(seen: Snapshot) -> dict[str, Any]:
    """What `--once --json` prints."""
    return {
        "schema": SCHEMA,
        "agent": {"program": PROGRAM, "version": __version__},
        "timestamp_ms": seen.timestamp_ms,
        "host": dict(seen.host),
        "families": [_family(answer) for answer in seen.answers],
    }


def _family(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.table.name,
        "title": answer.table.title,
        "series": [_series(figure) for figure in answer.figures],
        "left_out": dict(answer.left_out),
    }


def _series(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "labels": dict(figure.labels),
        "value": figure.value,
        "unit": figure.unit,
        "data_type": figure.data_type,
    }


# A look at the host as lines for a person: rounded figures, on 80 columns.

_WIDTH: Final = 80
_NAME_WIDTH: Final = 12
_KEY_WIDTH: Final = 36
_VALUE_WIDTH: Final = 16
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def lines(seen: Snapshot) -> list[str]:
    """A heading for each family, and below it a line for each figure and for each thing left out."""
    points = counted(sum(len(answer.figures) for answer in seen.answers), "datapoint")
    told = [f"A poll of this host holds {points}. This one is not sent.", "", "Host"]
    told += [f"    {name:<{_NAME_WIDTH}}{printable(value)}".rstrip() for name, value in seen.host]
    for answer in seen.answers:
        told += ["", answer.table.title, *_answer(answer)]
    return told


def _answer(answer: Answer) -> Iterator[str]:
    for labels, figures in groupby(answer.figures, lambda figure: figure.labels):
        if labels:
            yield _device(labels)
        yield from map(_figure, figures)
    for what, why in answer.left_out.items():
        part = what.removeprefix(answer.table.name).removeprefix(" ")
        yield f"  {printable(part or 'All')} left out: {printable(why)}"
    if not answer.figures and not answer.left_out:
        yield "  The host has none."


def _device(labels: tuple[Pair, ...]) -> str:
    line = f"  {', '.join(printable(value) for _, value in labels)}"
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _figure(figure: Figure) -> str:
    value, unit = _readable(figure.value, figure.unit)
    return f"    {printable(figure.key):<{_KEY_WIDTH}}{value:>{_VALUE_WIDTH}}  {unit}".rstrip()


def _readable(value: Value, unit: str) -> tuple[str, str]:
    if value is None:
        return "not sent", ""
    if unit == "bytes":
        return _scaled(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return text, "%" if unit == "percent" else unit


def _scaled(size: float) -> tuple[str, str]:
    power = 0
    while abs(size) >= 1000 and power < len(_SIZES) - 1:
        size /= 1000
        power += 1
    return (f"{size:,.1f}" if power else f"{size:,}"), _SIZES[power]


# `--once`: one poll of this host, to be read. Nothing is posted, and no agent is disturbed.


def run(arguments: argparse.Namespace) -> int:
    """Look at the host and print it; a failure only if it gives nothing at all."""
    # What is left out is told among the figures; said here too it would be said twice.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    configured = _configured()
    filters = DEFAULT if configured is None else Filters.of(configured.fields())
    filters.paths.adopt()
    seen = snapshot(
        replace(filters, families=EVERY) if arguments.all else filters,
        None if configured is None else configured.hostname,
    )
    if arguments.json:
        print(json.dumps(document(seen), indent=2))
    else:
        show_any_letter()
        print("\n".join(lines(seen)))
    return DONE if any(answer.figures for answer in seen.answers) else FAILED


def _configured() -> Config | None:
    """The configuration, if there is one; one that is there but of no use is told of."""
    try:
        directory = config_directory()
        if not directory.exists():
            return None
        return isolated.check(directory)
    except ConfigError as error:
        problem = error.problems[0]
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    print(f"{PROGRAM}: as by default, without a configuration: {problem}", file=sys.stderr)
    return None

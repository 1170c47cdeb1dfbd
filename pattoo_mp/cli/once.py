"""`--once`: poll this host once and print the values. It posts nothing and disturbs no agent.

They are printed as text with rounded figures, or with `--json` exactly, as the document that
`once.schema.json` describes. With `--watch` the host is polled every second: a screen with rates and
the last minute, or a line for each poll in a pipe.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pattoo_mp import __version__, identity, paths
from pattoo_mp.cli.output import DONE, FAILED, escape_unencodable
from pattoo_mp.cli.watching import is_capable_terminal, watch
from pattoo_mp.cli.words import moment
from pattoo_mp.collect.filters import Filters
from pattoo_mp.config import isolated
from pattoo_mp.config.families import EVERY
from pattoo_mp.doctor.polls import DEFAULT, Snapshots, answers_of_commands, snapshot
from pattoo_mp.errors import ConfigError
from pattoo_mp.model import now_ms
from pattoo_mp.paths import config_directory
from pattoo_mp.program import this_program
from pattoo_mp.util.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pattoo_mp.collect.commands.latest import Latest
    from pattoo_mp.config.values import Config
    from pattoo_mp.doctor.polls import Answer, Figure, Snapshot
    from pattoo_mp.model import Pair, Value


#: The version of the document. It changes only if scripts that read it would break, not if members
#: are added.
SCHEMA: Final = 1
_WIDTH: Final = 80
_NAME_WIDTH: Final = 12
_KEY_WIDTH: Final = 36
_VALUE_WIDTH: Final = 16
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def run(arguments: argparse.Namespace) -> int:
    """`--once`: poll the host and print the result; fail only if no family gave a value."""
    # What the poll leaves out is shown among the figures; do not log it to stderr as well.
    logging.getLogger("pattoo_mp").addHandler(logging.NullHandler())
    configured = _configured()
    filters = DEFAULT if configured is None else Filters.of(configured)
    filters.paths.adopt()
    if arguments.all:
        filters = replace(filters, families=EVERY)
    if arguments.words:
        named = tuple(name for name in EVERY if name in arguments.words)
        filters = replace(filters, families=named)
    hostname = None if configured is None else _name(configured)
    latest = _commands(filters)
    if arguments.watch:
        return _watch(Snapshots.of_host(filters, hostname, latest), as_json=arguments.json)
    taken = snapshot(filters, hostname, latest)
    if arguments.json:
        print(json.dumps(document(taken), indent=2))
    else:
        escape_unencodable()
        print("\n".join(lines(taken)))
    return _exit_status(taken)


def _exit_status(taken: Snapshot) -> int:
    return DONE if any(answer.figures for answer in taken.answers) else FAILED


def _watch(snapshots: Snapshots, *, as_json: bool) -> int:
    """Poll every second: in place on a terminal, else a line each. Return the last poll's status."""
    escape_unencodable()
    ask = partial(_ask, snapshots)
    if as_json:
        return _exit_status(
            watch(ask, lambda taken: print(json.dumps(document(taken)), flush=True))
        )
    if is_capable_terminal():
        from pattoo_mp.cli.once_screen import Screen  # noqa: PLC0415 - it loads rich

        with Screen() as screen:
            return _exit_status(watch(ask, screen.show, screen.move))
    from pattoo_mp.cli.once_rows import History, as_line  # noqa: PLC0415 - it imports this module

    history = History()

    def show(taken: Snapshot) -> None:
        history.add(taken)
        print(as_line(history, moment(taken.timestamp_ms)), flush=True)

    return _exit_status(watch(ask, show))


def _ask(snapshots: Snapshots) -> Snapshot:
    return snapshots.take(now_ms())


def _name(configured: Config) -> str | None:
    """The name that an agent of this configuration sends; None if it is still to be found."""
    return configured.hostname or identity.kept_name(paths.identity_file(configured))


def _commands(filters: Filters) -> Latest | None:
    """Run the commands once, as the agent's user. None if we must not, or if there are none."""
    if not filters.commands or "commands" not in filters.families:
        return None
    try:
        owner = isolated.find_owner(config_directory())
    except ConfigError as error:  # another user could change what would be run
        ignored = f"commands are not run: {printable(error.problems[0])}"
        print(f"{this_program().name}: {ignored}", file=sys.stderr)
        return None
    return answers_of_commands(filters, owner or (0, 0))


def _configured() -> Config | None:
    """The configuration; None without one, or (after a line on stderr) if it is unusable."""
    try:
        directory = config_directory()
        if not directory.exists():
            return None
        return isolated.check(directory)
    except ConfigError as error:
        problem = error.problems[0]
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    ignored = f"the configuration is ignored, defaults are used: {printable(problem)}"
    print(f"{this_program().name}: {ignored}", file=sys.stderr)
    return None


# The document for scripts.


def document(taken: Snapshot) -> dict[str, Any]:
    """What `--once --json` prints."""
    return {
        "schema": SCHEMA,
        "agent": {"program": this_program().name, "version": __version__},
        "timestamp_ms": taken.timestamp_ms,
        "host": dict(taken.host),
        "families": [_family(answer) for answer in taken.answers],
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


# The text for a person, on 80 columns.


def lines(taken: Snapshot) -> list[str]:
    """The host, then for each family a heading, its figures, and what was left out, a line each."""
    points = counted(sum(len(answer.figures) for answer in taken.answers), "datapoint")
    report = [f"A poll of this host holds {points}. It is not sent.", "", "Host"]
    report += [
        f"    {name:<{_NAME_WIDTH}}{printable(value)}".rstrip() for name, value in taken.host
    ]
    for answer in taken.answers:
        report += ["", answer.table.title, *_answer(answer)]
    return report


def _answer(answer: Answer) -> Iterator[str]:
    for labels, figures in groupby(answer.figures, lambda figure: figure.labels):
        if labels:
            yield _device(labels)
        yield from map(_figure, figures)
    for what, why in answer.left_out.items():
        part = what.removeprefix(answer.table.name).removeprefix(" ")
        reason = printable(why)
        yield f"  {printable(part or 'All')} left out: {reason}"
    if not answer.figures and not answer.left_out:
        yield "  None on this host."


def _device(labels: tuple[Pair, ...]) -> str:
    line = f"  {', '.join(printable(value) for _, value in labels)}"
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _figure(figure: Figure) -> str:
    value, unit = readable(figure)
    return f"    {printable(figure.key):<{_KEY_WIDTH}}{value:>{_VALUE_WIDTH}}  {unit}".rstrip()


def readable(figure: Figure) -> tuple[str, str]:
    """The value with few digits, and its unit."""
    if isinstance(figure.value, int) and figure.key.endswith("boot_time"):
        return _date(figure.value)
    if isinstance(figure.value, int) and figure.key.endswith("_mtu"):
        return f"{figure.value:,}", "bytes"  # an MTU is compared with those of other hosts
    return _formatted(figure.value, figure.unit)


def _date(seconds: float) -> tuple[str, str]:
    """A time in seconds since the epoch, in the host's time zone."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %Z}", ""


def _formatted(value: Value, unit: str) -> tuple[str, str]:
    if value is None:
        return "not sent", ""
    if unit == "bytes":
        return scaled(value)
    figure = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return figure, "%" if unit == "percent" else unit


def scaled(size: float) -> tuple[str, str]:
    """A number of bytes in the unit that leaves few digits."""
    power = 0
    while abs(size) >= 1000 and power < len(_SIZES) - 1:
        size /= 1000
        power += 1
    return (f"{size:,.1f}" if power else f"{size:,}"), _SIZES[power]

"""Performance data of Nagios plugins: `text | 'label'=value[UOM];warn;crit;min;max …`.

See "Plugin Output for Nagios" in the Monitoring Plugins Development Guidelines. The text may have more
lines: all after a second `|` is performance data again. Thresholds are not sent: the exit status says
what the plugin thinks of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.families._prometheus import FormatError, Identity
from pattoo_mp.model import COUNTER64, FLOAT
from pattoo_mp.wire.safe import sendable, stripped

if TYPE_CHECKING:
    from pattoo_mp.collect.families._prometheus import Figure

#: The beginning of the keys of the table `commands`.
PREFIX: Final = "command_"
#: The labels of a figure: its own in the performance data, and its unit if that is not a usual one.
FIGURE: Final = "command_figure"
UNIT: Final = "command_unit"

#: What each unit is sent as: the metric, and the factor. Plugins count bytes in powers of 1024. Upper
#: and lower case differ: `c` is a counter, `C` are degrees, and `Mb` are bits.
_UNITS: Final = {
    "": ("value", 1.0),
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "\u00b5s": ("seconds", 1e-6),  # the micro sign, and the Greek letter
    "\u03bcs": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "%": ("percent", 1.0),
    "c": ("count", 1.0),
    "B": ("bytes", 1.0),
    "kB": ("bytes", 1024.0),
    **{f"{prefix}{end}": ("bytes", 1024.0**power)
       for power, prefix in enumerate("KMGTP", 1) for end in ("B", "iB")},
}  # fmt: skip
_MAX_LABEL: Final = 256
#: A label, in quotes if it has blanks, where '' is one quote; then up to the next blank.
_ITEM: Final = re.compile(r"(?:'((?:[^']|'')+)'|([^\s='|]+))=(\S*)")
#: A number and its unit. What else stands after a number may change its meaning: `0xFF` is not 0, and nobody
#: knows what `5,` has lost.
_VALUE: Final = re.compile(
    r"([-+]?(?!0[xX][0-9a-fA-F])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"([^\d\s;'\",.:=|+-]{0,16})"
)
#: The most digits that are read as an integer: larger ones are not sent, and Python refuses very many.
_MAX_DIGITS: Final = 31
_UNKNOWN: Final = "U"


def figures(output: bytes) -> tuple[tuple[Figure, ...], str]:
    """Return the figures in a plugin's output, and what is left out and why.

    Raises `FormatError` for what is no text. Text without performance data has no figures.
    """
    items = _items(_performance_data(_text(output)))
    known = [item for item in items if not item or item[1].partition(";")[0] != _UNKNOWN]
    found = [_figure(*item) for item in known if item]
    figures_found = tuple(figure for figure in found if figure)
    bad = len(known) - len(figures_found)
    notes = [f"not label=value with a unit: {bad}"] if bad else []
    if len(known) < len(items):
        notes.append(f"unknown to the plugin (U): {len(items) - len(known)}")
    return figures_found, "; ".join(notes)


def _text(output: bytes) -> str:
    try:
        text = output.decode()
    except UnicodeDecodeError as error:
        line = output.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line}: not UTF-8") from None
    if "\0" in text:
        raise FormatError("contains a NUL; expected text")
    if not text.strip():
        raise FormatError("it printed nothing")
    return text


def _performance_data(text: str) -> str:
    """Return the performance data of all lines: of the first, and all after a `|` in a later one."""
    first, _, later = text.partition("\n")
    return f"{first.partition('|')[2]} {later.partition('|')[2]}"


def _items(data: str) -> list[tuple[str, str] | None]:
    """Return label and value of each item; None in place of one that has another form."""
    items: list[tuple[str, str] | None] = []
    at, end = 0, len(data)
    while at < end:
        if data[at].isspace():
            at += 1
        elif match := _ITEM.match(data, at):
            quoted, plain, value = match.groups()
            items.append((quoted.replace("''", "'") if quoted else plain, value))
            at = match.end()
        else:
            items.append(None)
            while at < end and not data[at].isspace():
                at += 1
    return items


def _figure(label: str, text: str) -> Figure | None:
    match = _VALUE.fullmatch(text.partition(";")[0])
    if not match or not label.strip() or len(label) > _MAX_LABEL:
        return None
    number, unit = match.groups()
    metric, factor = _UNITS.get(unit, ("value", 1.0))
    labels = {FIGURE: label}
    if unit not in _UNITS:
        labels[UNIT] = unit
    data_type = COUNTER64 if metric == "count" else FLOAT
    identity = Identity(f"{PREFIX}{metric}", data_type, tuple(sorted(stripped(labels.items()))))
    # A float has no room for all digits of a large counter.
    is_whole = number.isdecimal() and len(number) <= _MAX_DIGITS and factor == 1.0
    value = int(number) if is_whole else float(number) * factor
    return identity, value if sendable(value) else None

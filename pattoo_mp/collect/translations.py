"""What a pattoo server shows instead of keys: the file that its `pattoo_cli.py import` takes.

The format is that of pattoo's docs/cli.rst ('Creating Agent Key-Pair Translation Group CSV Files')
and of what reads it, `update` in pattoo/db/table/pair_xlate.py:

- The first row is `language,key,translation,units`; any other column is refused. (Servers from
  before the middle of 2020 want `description` for `translation`.)
- A key is the program's name, `_`, and the key that was posted; metadata keys are named so too.
- pandas reads it, and an empty field becomes the text `nan`. A space does not, and is stripped. So
  what has no unit has a space, though pattoo's own page leaves it empty.

Counters are shown as a rate per second (`_counters` in pattoo/db/table/datapoint.py), and their
units say so.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host, registry
from pattoo_mp.model import COUNTER64, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.collect.table import Metric

HEADINGS: Final = ("language", "key", "translation", "units")
#: The tables are written in it.
LANGUAGE: Final = "en"
_NO_UNIT: Final = " "


def translations() -> str:
    """The whole file: metadata first, then every series that a table describes, of families that are off too."""
    text = io.StringIO()
    # Quoted throughout, so that no editor takes the spaces at the ends of lines away.
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(HEADINGS)
    for key, translation, units in _rows():
        writer.writerow((LANGUAGE, f"{PROGRAM}_{key}", translation, units))
    return text.getvalue()


def _rows() -> Iterator[tuple[str, str, str]]:
    for label in host.LABELS:
        yield label.key, label.title, _NO_UNIT
    for table in registry.tables():
        for label in table.labels:
            yield label.key, label.title, _NO_UNIT
        for metric in table.metrics:
            yield table.key(metric), metric.title, _units(metric)


def _units(metric: Metric) -> str:
    unit = metric.unit[:1].upper() + metric.unit[1:]
    return f"{unit} / Second" if metric.data_type == COUNTER64 else unit

"""Writes the translations of keys to text, for `pattoo_cli.py import` on a pattoo server.

The format is described in pattoo's docs/cli.rst ('Creating Agent Key-Pair Translation Group CSV
Files') and defined by its reader, `update` in pattoo/db/table/pair_xlate.py:

- The first row is `language,key,translation,units`; any other column is refused. (Servers from
  before the middle of 2020 want `description` instead of `translation`.)
- A key is the program's name, `_`, and the posted key. The same holds for metadata keys.
- pandas reads it, and turns an empty field into the text `nan`. It strips a space, though. So a
  missing unit is written as a space, although pattoo's own page leaves it empty.

Counters are shown as a rate per second (`_counters` in pattoo/db/table/datapoint.py), and their
units say so.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect import host, registry
from pattoo_mp.model import COUNTER64
from pattoo_mp.program import this_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pattoo_mp.collect.table import Metric

HEADINGS: Final = ("language", "key", "translation", "units")
#: The language of the tables.
LANGUAGE: Final = "en"
_NO_UNIT: Final = " "


def translations() -> str:
    """Return the whole file: metadata first, then the series of all families, on or off."""
    file = io.StringIO()
    # All fields are quoted, so that no editor removes the spaces at the ends of lines.
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(HEADINGS)
    for key, translation, units in _rows():
        writer.writerow((LANGUAGE, f"{this_program().name}_{key}", translation, units))
    return file.getvalue()


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

"""The translations that a pattoo server imports."""

from __future__ import annotations

import csv

from pattoo_mp.collect import host
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.translations import translations
from pattoo_mp.config.families import EVERY
from tests.support.agent import NAME, ROOT
from tests.support.sources import sources_of
from tests.wire.posts import ORIGIN

SHIPPED = ROOT / "conf" / f"{NAME}.translations.csv"
#: Fields that pandas reads as missing (`pandas.read_csv`, `na_values`), and the server as `nan`.
MISSING = {"", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}


def rows() -> list[dict[str, str]]:
    """Return the file as the server reads it."""
    return list(csv.DictReader(translations().splitlines()))


def test_the_shipped_file_is_up_to_date() -> None:
    """Run `make samples` after a change of a table."""
    assert SHIPPED.read_text() == translations()


def test_the_first_row_is_the_one_that_the_server_expects() -> None:
    """It refuses any other column."""
    assert list(rows()[0]) == ["language", "key", "translation", "units"]


def test_no_field_is_read_as_nan() -> None:
    """A missing unit is a space, which the server strips."""
    fields = [field for row in rows() for field in row.values()]
    assert not MISSING & set(fields)


def test_each_key_of_a_poll_is_translated() -> None:
    """Those of the metadata too, each after the program's name, as the server stores them."""
    layout, _ = Poller(sources_of(*EVERY), ORIGIN, 1000).poll(1000)
    sent = {series.key for series in layout.series}
    sent |= {name for series in layout.series for name, _ in series.metadata}
    translated = [row["key"] for row in rows()]
    assert {f"{NAME}_{key}" for key in sent} <= set(translated)
    assert len(set(translated)) == len(translated)


def test_the_units_of_a_counter_are_those_of_its_rate() -> None:
    """The server shows the increase per second of a counter, and other figures as they are."""
    units = {row["key"].removeprefix(f"{NAME}_"): row["units"] for row in rows()}
    assert units["disk_io_read_bytes"] == "Bytes / Second"
    assert units["cpu_times_user"] == "Seconds / Second"
    assert units["memory_total"] == "Bytes"
    assert units["cpu_frequency"] == "MHz"
    assert {units[label.key] for label in host.LABELS} == {" "}

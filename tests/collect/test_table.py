"""The tables describe everything that is sent, once, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect import host, registry
from pattoo_mp.collect.source import Fields
from pattoo_mp.collect.table import Label, Metric, Table
from pattoo_mp.config.families import EVERY, ORIGINAL
from pattoo_mp.model import COUNTER64, FLOAT, INTEGER, Series
from pattoo_mp.wire.safe import TEXT_BYTES
from tests.support.sources import BY_DEFAULT, sources_of

if TYPE_CHECKING:
    from pattoo_mp.collect.source import Source

SOURCES = sources_of(*EVERY)
TABLES = registry.tables()
METRICS = [(table, metric) for table in TABLES for metric in table.metrics]
KEYS = [table.key(metric) for table, metric in METRICS]
LABELS = [*host.LABELS, *(label for table in TABLES for label in table.labels)]


def fields(source: Source) -> set[str]:
    """Return the keys that a source gives on this host."""
    return {series.key for series in source.series(source.read().shape, ())}


def test_each_source_has_a_table_of_its_name() -> None:
    """In the order of a poll."""
    assert [source.name for source in BY_DEFAULT] == [
        table.name for table in registry.tables(ORIGINAL)
    ]
    assert [source.name for source in SOURCES] == [table.name for table in TABLES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_field_that_this_host_gives_is_described(source: Source) -> None:
    """A release of psutil that reports more needs more lines."""
    try:
        given = fields(source)
    except (NotImplementedError, OSError) as error:
        pytest.skip(f"this host does not give it: {error}")
    table = next(table for table in TABLES if table.name == source.name)
    assert given - {table.key(metric) for metric in table.metrics} == set()


def test_no_key_is_described_twice() -> None:
    """Nor is a figure named like a label: a pattoo server uses one list to translate both."""
    names = [*KEYS, *(label.key for label in LABELS)]
    assert len(set(names)) == len(names)


def test_a_field_that_no_line_describes_is_a_series_all_the_same() -> None:
    """With the metadata of the others and the type that the table names, so nothing is lost."""
    table = Table(
        "heat", "Heat", "heat_", FLOAT, (Metric("limit", INTEGER, "degrees", "Limit", "A limit."),)
    )
    source = Fields(table, lambda: {"limit": 90, "core_max": 61.5})
    metadata = (("hostname", "host"),)
    assert source.series(source.read().shape, metadata) == [
        Series("heat_limit", INTEGER, metadata),
        Series("heat_core_max", FLOAT, metadata),
    ]
    assert table.metric("core_max") == Metric(
        "core_max", FLOAT, "", "Heat (core max)", "As psutil reports it."
    )


@pytest.mark.parametrize(("table", "metric"), METRICS, ids=KEYS)
def test_a_line_is_complete(table: Table, metric: Metric) -> None:
    """A type and a key that the server accepts, a unit, a title, and a sentence."""
    assert metric.data_type in {INTEGER, FLOAT, COUNTER64}
    assert metric.unit == metric.unit.strip() != ""
    assert 0 < len(metric.title) < 60
    assert metric.meaning.endswith(".")
    assert "|" not in metric.meaning  # it would end a cell of the metrics page
    key = table.key(metric)
    assert key == key.strip().lower()
    assert len(key) < TEXT_BYTES // 2


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.key)
def test_a_label_is_complete(label: Label) -> None:
    """A title and a sentence."""
    assert 0 < len(label.title) < 60
    assert label.meaning.endswith(".")
    assert label.key == label.key.strip().lower()


def test_only_increasing_figures_are_counters() -> None:
    """A counter is shown as a rate, so percentages and frequencies are none."""
    rates = {metric.unit for _, metric in METRICS if metric.data_type == COUNTER64}
    assert not rates & {"percent", "MHz", "processes"}

"""The documentation's text from the families' tables."""

from __future__ import annotations

from pattoo_mp.collect import host, registry
from tools import metrics


def cells(markdown: str) -> list[list[str]]:
    """Return the rows of all tables, without separator lines."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("| ")
    ]


def test_every_series_has_a_row_with_unit_type_and_meaning() -> None:
    """In the order of the tables."""
    rows = [row for row in cells(metrics.metrics()) if len(row) == 4 and row[0] != "Key"]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (f"`{table.key(metric)}`", metric.unit, metric.meaning)
        for table in registry.tables()
        for metric in table.metrics
    ]
    assert {row[2] for row in rows} == {"integer (99)", "float (101)", "counter (64)"}


def test_every_family_has_a_heading_and_its_labels() -> None:
    """Each label has a row."""
    page = metrics.metrics()
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert headings == [table.title for table in registry.tables()]
    rows = [row[0] for row in cells(page) if len(row) == 2 and row[0] != "Label"]
    assert rows == [f"`{label.key}`" for table in registry.tables() for label in table.labels]


def test_the_hosts_labels_say_which_do_not_start_a_new_series() -> None:
    """So charts continue with a new kernel."""
    rows = cells(metrics.host_labels())[1:]
    assert [row[0] for row in rows] == [f"`{label.key}`" for label in host.LABELS]
    free = [row[0] for row in rows if row[1].endswith("A new one does not make another series.")]
    assert free == ["`release`", "`version`"]

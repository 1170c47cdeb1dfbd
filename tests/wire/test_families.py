"""The family of a key."""

from __future__ import annotations

import pytest

from pattoo_mp.collect import registry
from pattoo_mp.config.families import EVERY
from pattoo_mp.wire.families import FILE, family_of
from tools.families import families


def test_the_shipped_file_matches_the_tables() -> None:
    """`make samples` writes it."""
    assert FILE.read_text(encoding="utf-8") == families()


@pytest.mark.parametrize("name", EVERY)
def test_each_key_of_a_table_belongs_to_its_family(name: str) -> None:
    """No two families share a key."""
    tables = registry.family(name).TABLES
    assert {family_of(table.key(metric)) for table in tables for metric in table.metrics} == {name}


@pytest.mark.parametrize(
    ("key", "family"),
    [("memory_new_field", "memory"), ("cpu_times_percent_new", "processor"),
     ("per_processor_times_new", "per_processor"), ("textfile_metric_disk_io_x", "textfile"),
     ("textfile_file_age", "textfile"), ("something_else", "textfile")],
)  # fmt: skip
def test_a_key_that_no_table_has_belongs_to_the_longest_prefix(key: str, family: str) -> None:
    """A later psutil may have more fields; all else is an operator's own figure."""
    assert family_of(key) == family

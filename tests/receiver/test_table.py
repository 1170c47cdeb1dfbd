"""The table that `--show` prints."""

from __future__ import annotations

from pattoo_mp.receiver.reading import StoredPoint
from pattoo_mp.receiver.table import HEADINGS, table

MOUNT = ("mount", "/var/lib/containers/storage/overlay/0123456789abcdef0123456789abcdef/merged")


def point(*metadata: tuple[str, str]) -> StoredPoint:
    """A datapoint with a long key."""
    return StoredPoint(
        timestamp_ms=1_700_000_000_000, agent_id="a", target="host.example.org",
        key="disk_partition_disk_usage_percent", value=7.5, metadata=dict(metadata),
    )  # fmt: skip


def test_a_table_fits_the_terminal() -> None:
    """Long texts are cut and marked; times and values are whole."""
    shown = table([point(MOUNT), point()], 80).splitlines()
    assert max(map(len, shown)) <= 80
    assert shown[1].startswith("2023-11-14 22:13:20.000  ")
    assert shown[1].endswith("  7.5".rjust(5))
    assert "…" in shown[1]
    assert shown[0].split() == " ".join(HEADINGS).split()


def test_a_table_without_a_width_is_whole() -> None:
    """Nothing is cut."""
    assert "=".join(MOUNT) in table([point(MOUNT)])


def test_a_very_narrow_terminal_gets_a_table_too() -> None:
    """Its lines are wrapped by the terminal."""
    assert table([point(MOUNT)], 10).count("\n") == 1

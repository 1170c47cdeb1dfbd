"""The queues of disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pattoo_mp.model import INTEGER
from tests.support.hosts import be, polled
from tests.support.procfs import ProcFS

if TYPE_CHECKING:
    from pathlib import Path


def test_a_recent_kernel_reports_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the disks that the filter of `disk_io` accepts."""
    be("server", monkeypatch)
    poll = polled("disk_queue")
    found = poll.by("disk_queue_disk")
    assert list(found) == ["sda", "sda1"]
    assert found["sda"] == {
        "disk_queue_in_flight": 2, "disk_queue_weighted_time": 120,
        "disk_queue_discard_count": 11, "disk_queue_discard_merged_count": 12,
        "disk_queue_discard_bytes": 13 * 512, "disk_queue_discard_time": 14,
        "disk_queue_flush_count": 15, "disk_queue_flush_time": 16,
    }  # fmt: skip
    integers = {series.key for series in poll.series if series.data_type == INTEGER}
    assert integers == {"disk_queue_in_flight"}


def test_an_older_kernel_reports_what_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discards since Linux 4.18, flushes since 5.5: what is not counted is not 0."""
    procfs = ProcFS(tmp_path, monkeypatch)
    eleven = "1 2 3 4 5 6 7 8 9 10 11"
    procfs.write("diskstats", f"8 0 sda {eleven}\n8 16 sdb {eleven} 12 13 14 15\n")
    found = polled("disk_queue").by("disk_queue_disk")
    assert {name: len(figures) for name, figures in found.items()} == {"sda": 2, "sdb": 6}


@pytest.mark.parametrize("bad", ["-1", "4294967295", "18446744073709551615", "x", "1_0"])
@pytest.mark.parametrize("family", ["disk_queue", "disk_io"])
def test_an_impossible_figure_costs_no_other(
    family: str, bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel subtracts two counters for the requests in flight, and writes what is below 0 as it is."""
    procfs = ProcFS(tmp_path, monkeypatch)
    procfs.write(
        "diskstats", f"8 0 sda 1 2 3 4 5 6 7 8 {bad} 10 11\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n"
    )
    poll = polled(family)
    if family == "disk_io":
        assert len(poll.figures) == 9
        assert poll.left_out == {}
        return
    assert poll.by("disk_queue_disk") == {
        "sda": {"disk_queue_weighted_time": 11},
        "sdb": {"disk_queue_in_flight": 9, "disk_queue_weighted_time": 11},
    }
    assert bad in poll.left_out["disk_queue sda in_flight"]

"""The counters of disks: the kernel's own, and one damaged line costs one disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hosts import again, polled
from tests.support.procfs import ProcFS
from tests.support.sources import sources_of

if TYPE_CHECKING:
    from pathlib import Path

from pattoo_mp.collect.poller import Poller
from tests.wire.posts import ORIGIN

SDA = "   8       0 sda 100 20 3000 40 500 60 7000 80 2 90 120 11 12 13 14 15 16"
SDB = "   8      16 sdb 1 2 3 4 5 6 7 8 0 9 10"


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """Return a simulated /proc."""
    return ProcFS(tmp_path, monkeypatch)


def test_the_figures_are_those_of_psutil(procfs: ProcFS) -> None:
    """With its names and in its order."""
    procfs.write("diskstats", f"{SDA}\n{SDB}\n")
    theirs = psutil.disk_io_counters(perdisk=True, nowrap=False)
    assert [
        list(figures.items()) for figures in polled("disk_io").by("disk_partition").values()
    ] == [
        [(f"disk_io_{name}", value) for name, value in counters._asdict().items()]
        for counters in theirs.values()
    ]


def test_a_counter_that_steps_back_is_sent_as_it_is(procfs: ProcFS) -> None:
    """A server knows resets. A sum with what was before would be on no disk."""
    poller = Poller(sources_of("disk_io"), ORIGIN, 1000)
    for sectors in (4_000_100, 4_000_090, 10):
        procfs.write("diskstats", f"8 0 sda 1 2 {sectors} 4 5 6 7 8 0 9 10\n")
        figures = again(poller).by("disk_partition")["sda"]
        assert figures["disk_io_read_bytes"] == 512 * sectors


def test_a_partition_of_an_old_kernel_gives_what_it_counts(procfs: ProcFS) -> None:
    """Before Linux 2.6.25 it counted no time: that is not 0."""
    procfs.write("diskstats", f"{SDA}\n   8       1 sda1 1 2 3 4\n")
    assert polled("disk_io").by("disk_partition")["sda1"] == {
        "disk_io_read_count": 1, "disk_io_write_count": 3,
        "disk_io_read_bytes": 1024, "disk_io_write_bytes": 2048,
    }  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged=st.one_of(
    st.text().map(lambda text: text.replace("\n", "")),
    st.sampled_from(["8 32 sdc", "8 32 sdc 1 2", "8 32 sdc " + "x " * 11, "8 32 sdc " + "9" * 5000]),
))  # fmt: skip
@pytest.mark.parametrize("family", ["disk_io", "disk_queue"])
def test_a_damaged_line_costs_no_other_disk(procfs: ProcFS, damaged: str, family: str) -> None:
    """The values of the others are unchanged."""
    label = {"disk_io": "disk_partition", "disk_queue": "disk_queue_disk"}[family]
    procfs.write("diskstats", f"{SDA}\n{SDB}\n")
    good = polled(family).by(label)
    procfs.write("diskstats", f"{SDA}\n{damaged}\n{SDB}\n".encode("utf-8", "surrogatepass"))
    found = polled(family).by(label)
    assert {name: found[name] for name in good} == good


def test_a_disk_with_a_damaged_line_is_noted(procfs: ProcFS) -> None:
    """With its name and the reason."""
    procfs.write("diskstats", f"{SDA}\n   8      32 sdc 1 2\n")
    poll = polled("disk_io")
    assert list(poll.by("disk_partition")) == ["sda"]
    assert list(poll.left_out) == ["disk_io sdc"]
    assert "2 figures" in poll.left_out["disk_io sdc"]


def test_filtered_disks_are_not_noted(procfs: ProcFS) -> None:
    """Nothing is wrong where all disks are excluded."""
    procfs.disks("loop0", "ram1")
    poll = polled("disk_io")
    assert (poll.series, poll.left_out) == ({}, {})

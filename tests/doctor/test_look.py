"""One look at a host, source by source: this one, and others from their /proc."""

from __future__ import annotations

import os
from collections import namedtuple
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.doctor.polls import snapshot, snapshot_of
from pattoo_mp.model import COUNTER64
from tests.support.procfs import ProcFS
from tests.support.sources import BY_DEFAULT, sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pattoo_mp.collect.source import Source
    from pattoo_mp.doctor.polls import Answer


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcFS:
    """Another host: two processors, no disk, no swap."""
    return ProcFS(tmp_path / "proc", monkeypatch)


def asked(sources: Sequence[Source]) -> list[Answer]:
    """What these sources give."""
    return list(snapshot_of(sources, 1000).answers)


def values(answer: Answer) -> dict[str, object]:
    """Values by key, of an answer without devices."""
    return {figure.key: figure.value for figure in answer.figures}


def test_a_look_shows_what_a_poll_holds() -> None:
    """The same keys, types and metadata, in the same order."""
    layout, _ = Poller(BY_DEFAULT, ORIGIN, 1000).poll(1000)
    seen = snapshot_of(BY_DEFAULT, 1000)
    figures = [figure for answer in seen.answers for figure in answer.figures]
    names = {name for name, _ in seen.host}
    assert [(f.key, f.data_type, f.labels) for f in figures] == [
        (s.key, s.data_type, tuple(pair for pair in s.metadata if pair[0] not in names))
        for s in layout.series
    ]


def test_every_figure_of_this_host_has_a_unit() -> None:
    """And there is one answer for each source, those that give nothing included."""
    seen = snapshot_of(BY_DEFAULT, 1000)
    assert [answer.table for answer in seen.answers] == list(registry.tables(ORIGINAL))
    assert all(figure.unit for answer in seen.answers for figure in answer.figures)


def test_the_shares_of_time_are_those_of_a_moment_ago() -> None:
    """They were asked for before, so that they add up to all of the time and are not all zero."""
    (shares,) = [answer for answer in snapshot().answers if answer.table.name == "processor.shares"]
    own = [f.value or 0 for f in shares.figures if "guest" not in f.key]
    assert sum(own) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("count", [2, 256])
def test_processors_are_shown_together_however_many(procfs: ProcFS, count: int) -> None:
    """The series of a large host are those of a small one."""
    procfs.processors(count)
    _, _, times, counters = asked(sources_of("processor"))
    assert len(times.figures) == 10
    assert values(times)["cpu_times_idle"] == 9042.17
    assert values(counters)["cpu_stats_ctx_switches"] == 7654321


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu a b c d e f g h i j\n"])
def test_a_host_without_processor_times_gives_the_rest(procfs: ProcFS, content: str | None) -> None:
    """As where /proc/stat is hidden. Not even the question before the first poll fails."""
    (procfs.root / "stat").unlink()
    if content is not None:
        procfs.write("stat", content)
    seen = snapshot()
    (shares,) = [answer for answer in seen.answers if answer.table.name == "processor.shares"]
    assert (shares.figures, list(shares.left_out)) == ((), ["processor.shares"])
    given = {answer.table.name for answer in seen.answers if answer.figures}
    assert {"system.processes", "system.load", "memory", "swap", "network_io"} <= given


def test_a_host_without_swap_has_zeros(procfs: ProcFS) -> None:
    """No figure is missing, and none is left out."""
    del procfs
    used, swap = asked(sources_of("memory"))
    assert values(used)["memory_available"] == 6_000_000 * 1024
    assert set(values(swap).values()) == {0}
    assert swap.left_out == {}


def test_a_host_without_disks_gives_none_and_leaves_none_out(procfs: ProcFS) -> None:
    """Nothing to tell is not a failure."""
    del procfs
    (disks,) = asked(sources_of("disk_io"))
    assert (disks.figures, disks.left_out) == ((), {})


def test_a_kernel_that_hides_its_disks_is_named_with_the_reason(
    procfs: ProcFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container without /proc/diskstats; psutil then looks in /sys/block for them."""
    (procfs.root / "diskstats").unlink()
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/sys/block" and exists(path))
    (disks,) = asked(sources_of("disk_io"))
    assert disks.figures == ()
    assert list(disks.left_out) == ["disk_io"]
    assert disks.left_out["disk_io"].startswith("NotImplementedError: ")


@pytest.mark.parametrize("name", ["veth0a1b2c3", "eth0.100", "br-5f3e", "wg0", "a@b!c", "Ω"])
def test_an_interface_is_shown_by_its_name(procfs: ProcFS, name: str) -> None:
    """Whatever it is called."""
    procfs.interfaces("lo", name)
    (interfaces,) = asked(sources_of("network"))
    assert {figure.labels for figure in interfaces.figures} == {
        (("network_io_interface", "lo"),),
        (("network_io_interface", name),),
    }
    assert {figure.data_type for figure in interfaces.figures} == {COUNTER64}


def test_disks_have_all_their_counters(procfs: ProcFS) -> None:
    """With the units of psutil: sectors are bytes by then."""
    procfs.disks("sda", "loop0", "nvme0n1")
    (disks,) = asked(sources_of("disk_io"))
    assert [dict(f.labels)["disk_partition"] for f in disks.figures[::9]] == ["sda", "nvme0n1"]
    assert [(f.key, f.value, f.unit) for f in disks.figures[2:5]] == [
        ("disk_io_read_bytes", 3000 * 512, "bytes"),
        ("disk_io_write_bytes", 7000 * 512, "bytes"),
        ("disk_io_read_time", 40, "milliseconds"),
    ]


def test_a_mount_whose_name_is_not_utf8_is_shown_as_it_is_sent(
    procfs: ProcFS, tmp_path: Path
) -> None:
    r"""A byte that is no UTF-8 is `\xNN`, and the file system is asked by its real name."""
    place = bytes(tmp_path) + b"/caf\xe9"
    (tmp_path / "x").mkdir()
    (tmp_path / "x").rename(place.decode("utf-8", "surrogateescape"))
    procfs.mounts(place)
    (mounts,) = asked(sources_of("partitions"))
    assert {dict(f.labels)["disk_partition_mountpoint"] for f in mounts.figures} == {
        f"{tmp_path}/caf\\xe9"
    }
    assert [f.unit for f in mounts.figures] == ["bytes", "bytes", "bytes", "percent"]


def test_a_mount_that_is_gone_is_left_out_with_the_reason(procfs: ProcFS, tmp_path: Path) -> None:
    """The others are shown."""
    procfs.mounts(bytes(tmp_path), b"/no/such/place")
    (mounts,) = asked(sources_of("partitions"))
    assert len(mounts.figures) == 4
    assert list(mounts.left_out) == ["disk_partitions /no/such/place"]
    assert "No such file" in mounts.left_out["disk_partitions /no/such/place"]


def test_a_value_that_the_server_could_not_take_is_not_sent(
    procfs: ProcFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown as none, as the encoder leaves it out."""
    del procfs
    kind = namedtuple("kind", "total used slab")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: kind(8, float("nan"), None))
    used, _ = asked(sources_of("memory"))
    assert values(used) == {"memory_total": 8, "memory_used": None, "memory_slab": None}

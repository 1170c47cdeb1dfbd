"""One look at a host, source by source: this one, and others from their /proc."""

from __future__ import annotations

import os
import threading
from collections import namedtuple
from statistics import median
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.config.settings import defaults
from pattoo_mp.doctor import polls
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.polls import filter_findings, snapshot, snapshot_of
from pattoo_mp.model import COUNTER64, Layout, Poll
from tests.support.procfs import ProcFS
from tests.support.sources import BY_DEFAULT, sources_of
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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


# How long polls take, and what follows from it.

LAYOUT = Layout(ORIGIN, 1000, ())


def measured(**more: object) -> polls.Measured:
    """Polls of 2 ms, but for what is said otherwise."""
    figures = {
        "families": {"memory": (0.005, 0.001, 0.003)},
        "polls": (0.1, 0.002, 0.002),
        "left_out": {},
        "layout": LAYOUT,
        "poll": Poll.of(LAYOUT, 0, []),
    }
    return polls.Measured(**(figures | more))  # type: ignore[arg-type]


def found(interval_s: float, **more: object) -> dict[str, Finding]:
    """The findings by their subjects."""
    return {f.subject: f for f in polls.family_findings(measured(**more), interval_s)}


def test_the_first_answer_is_told_apart_from_those_after_it() -> None:
    """The first is not what the host costs from then on."""
    assert found(1)["memory"].found == "2 ms, 5 ms the first time"
    assert found(1)["a whole poll"].found == (
        "0 datapoints in 2 ms, 2 ms at worst, 100 ms the first time"
    )


@pytest.mark.parametrize(
    ("poll_s", "interval_s"),
    [(0.0, 0.01), (0.0025, 0.01), (0.0026, 0.02), (0.0125, 0.05), (0.013, 0.1), (0.25, 1.0),
     (0.3, 2.0), (1.3, 10.0), (3.0, 20.0)],
)  # fmt: skip
def test_a_poll_takes_at_most_a_quarter_of_a_safe_interval(
    poll_s: float, interval_s: float
) -> None:
    """In round figures, and never less than the agent takes."""
    assert polls.lowest_interval_s(poll_s) == interval_s


def test_an_interval_that_is_too_short_is_trouble() -> None:
    """With the one to set instead."""
    assert found(0.01)["polling_interval"].state is State.WELL
    short = found(0.01, polls=(0.001, 0.004, 0.004))["polling_interval"]
    assert short.state is State.TROUBLE
    assert short.found == "0.01 s; 0.02 s or more is safe on this host"
    assert short.advice.startswith("set it to 0.02 or more")


def test_a_group_is_told_by_its_families_and_its_interval() -> None:
    """Where there are several; each has a safe interval of its own."""
    told = polls.family_findings(measured(polls=(0.1, 0.004, 0.004)), 0.01, "memory, network")
    group = {f.subject: f for f in told}
    assert group["interval of memory, network"].state is State.TROUBLE
    assert "in 4 ms, 4 ms at worst" in group["a poll every 0.01 s"].found


@pytest.mark.parametrize(
    ("shortest_s", "state"), [(0.2, State.WELL), (0.07, State.WELL), (0.05, State.TROUBLE)]
)
def test_all_groups_at_once_must_leave_the_shortest_interval_its_ticks(
    shortest_s: float, state: State
) -> None:
    """The slowest polls of each, one after the other; the first of each does not count."""
    groups = [measured(polls=(9.0, 0.01, 0.02)), measured(polls=(9.0, 0.04, 0.03))]
    found = polls.all_due(groups, shortest_s)
    assert found.state is state
    assert found.found.startswith("60 ms at worst")


def test_what_a_host_does_not_give_is_no_trouble() -> None:
    """The polls go on without it."""
    why = "NotImplementedError: the kernel gives no processor frequency"
    left = found(1, left_out={"processor.frequency": why})["processor.frequency"]
    assert (left.state, left.found) == (State.NOTE, f"left out of the polls: {why}")


def test_this_host_is_polled_as_the_collector_does() -> None:
    """Every family, several times; what a poll takes is what its families take, and a little."""
    taken = polls.measure(ORIGIN, 300_000)
    assert {"system", "processor", "memory", "disk_io", "network_io"} <= set(taken.families)
    assert len({len(seconds) for seconds in [*taken.families.values(), taken.polls]}) == 1
    first_poll = sum(seconds[0] for seconds in taken.families.values())
    assert 0 < first_poll <= taken.polls[0]
    assert taken.layout.interval_ms == 300_000
    assert len(taken.poll.values()) == len(taken.layout.series) > 50


def test_a_mount_that_hangs_is_named_and_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the agent would wait for it, once, and then no more."""
    ProcFS(tmp_path / "proc", monkeypatch).mounts(b"/", b"/dead")
    answered = threading.Event()
    usage: Callable[[str], object] = psutil.disk_usage

    def asked(path: str) -> object:
        if path == "/dead":
            answered.wait(60)
        return usage("/")

    monkeypatch.setattr(psutil, "disk_usage", asked)
    taken = polls.measure(ORIGIN, 200)
    answered.set()
    dead = {f.subject: f for f in polls.family_findings(taken, 0.2)}["disk_partitions /dead"]
    assert dead.state is State.TROUBLE
    assert "no answer within" in dead.found
    assert "umount" in dead.advice
    first, *again = taken.families["disk_partitions"]
    assert median(again) < first


# Patterns that match nothing.


def found_by_filters(**given: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is said of these settings on this host, and of which."""
    notes = list(filter_findings(defaults() | given))
    assert {note.state for note in notes} <= {State.NOTE}
    return [(note.subject, note.found) for note in notes]


def test_the_defaults_are_no_slip() -> None:
    """Most hosts have no RAM disk, and need not."""
    assert found_by_filters() == []


def test_a_pattern_that_matches_is_not_told() -> None:
    """Every host has a loopback."""
    assert found_by_filters(interfaces_exclude=("l?", "*")) == []


@pytest.mark.parametrize(
    "setting", ["mounts_include", "disks_exclude", "interfaces_include", "temperatures_exclude"]
)
def test_a_pattern_that_matches_nothing_is_named(setting: str) -> None:
    """Each by itself, with its setting."""
    pattern = r"no such device \d+"
    assert found_by_filters(**{setting: (pattern,)}) == [
        (setting, f"{pattern!r} matches nothing on this host")
    ]

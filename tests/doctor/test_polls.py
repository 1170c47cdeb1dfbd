"""Polls for a person: snapshots, the time that polls take, and filter patterns.

Some run on this host, others on simulated hosts with a /proc of their own.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pattoo_mp.collect import registry
from pattoo_mp.collect.poller import Poller
from pattoo_mp.collect.source import Fields
from pattoo_mp.config.families import ORIGINAL
from pattoo_mp.doctor import polls
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.doctor.polls import (
    DEFAULT_CONFIG,
    Measured,
    family_findings,
    filter_findings,
    snapshot,
    snapshot_of,
)
from pattoo_mp.model import COUNTER64, INTEGER, Layout, Poll, Series
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
    """A simulated host with two processors, no disk and no swap."""
    return ProcFS(tmp_path / "proc", monkeypatch)


def answers(sources: Sequence[Source]) -> list[Answer]:
    """The answers of these sources."""
    return list(snapshot_of(sources, 1000).answers)


def values(answer: Answer) -> dict[str, object]:
    """The values of an answer without devices, by key."""
    return {figure.key: figure.value for figure in answer.figures}


def test_a_snapshot_holds_what_a_poll_holds() -> None:
    """It has the same keys, types and metadata, in the same order."""
    layout, _ = Poller(BY_DEFAULT, ORIGIN, 1000).poll(1000)
    seen = snapshot_of(BY_DEFAULT, 1000)
    figures = [figure for answer in seen.answers for figure in answer.figures]
    names = {name for name, _ in seen.host}
    assert [(f.key, f.data_type, f.labels) for f in figures] == [
        (s.key, s.data_type, tuple(pair for pair in s.metadata if pair[0] not in names))
        for s in layout.series
    ]


def test_every_value_of_this_host_has_a_unit() -> None:
    """There is an answer for each source, even if it gives nothing."""
    seen = snapshot_of(BY_DEFAULT, 1000)
    assert [answer.table for answer in seen.answers] == list(registry.tables(ORIGINAL))
    assert all(figure.unit for answer in seen.answers for figure in answer.figures)


def test_the_processor_shares_cover_the_time_before_the_snapshot() -> None:
    """They were read once before, so they add up to 100 % and are not all zero."""
    (shares,) = [answer for answer in snapshot().answers if answer.table.name == "processor.shares"]
    own = [f.value or 0 for f in shares.figures if "guest" not in f.key]
    assert sum(own) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("count", [2, 256])
def test_processors_are_summed_up_however_many(procfs: ProcFS, count: int) -> None:
    """A large host has the same series as a small one."""
    procfs.processors(count)
    _, _, times, counters = answers(sources_of("processor"))
    assert len(times.figures) == 10
    assert values(times)["cpu_times_idle"] == 9042.17
    assert values(counters)["cpu_stats_ctx_switches"] == 7654321


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu a b c d e f g h i j\n"])
def test_a_host_without_processor_times_gives_the_rest(procfs: ProcFS, content: str | None) -> None:
    """For example where /proc/stat is hidden. Priming before the first poll does not fail either."""
    (procfs.root / "stat").unlink()
    if content is not None:
        procfs.write("stat", content)
    seen = snapshot()
    (shares,) = [answer for answer in seen.answers if answer.table.name == "processor.shares"]
    assert (shares.figures, list(shares.left_out)) == ((), ["processor.shares"])
    given = {answer.table.name for answer in seen.answers if answer.figures}
    assert {"system.processes", "system.load", "memory", "swap", "network_io"} <= given


def test_a_host_without_swap_has_zeros(procfs: ProcFS) -> None:
    """No value is missing, and none is left out."""
    del procfs
    used, swap = answers(sources_of("memory"))
    assert values(used)["memory_available"] == 6_000_000 * 1024
    assert set(values(swap).values()) == {0}
    assert swap.left_out == {}


def test_a_host_without_disks_is_noted_with_the_reason(procfs: ProcFS) -> None:
    """As in a container whose /proc/diskstats is empty."""
    del procfs
    (disks,) = answers(sources_of("disk_io"))
    assert disks.figures == ()
    assert disks.left_out == {"disk_io": "the kernel reports no disk"}


def test_hidden_disks_are_left_out_with_the_reason(
    procfs: ProcFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example in a container without /proc/diskstats; psutil then looks in /sys/block."""
    (procfs.root / "diskstats").unlink()
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/sys/block" and exists(path))
    (disks,) = answers(sources_of("disk_io"))
    assert disks.figures == ()
    assert list(disks.left_out) == ["disk_io"]
    # Releases of psutil say it in their own words.
    reason = disks.left_out["disk_io"]
    assert " nor /sys/block " in reason
    assert reason.endswith(" available on this system")


@pytest.mark.parametrize("name", ["veth0a1b2c3", "eth0.100", "br-5f3e", "wg0", "a@b!c", "Ω"])
def test_an_interface_is_labelled_with_its_name(procfs: ProcFS, name: str) -> None:
    """Any name is possible."""
    procfs.interfaces("lo", name)
    (interfaces,) = answers(sources_of("network"))
    assert {figure.labels for figure in interfaces.figures} == {
        (("network_io_interface", "lo"),),
        (("network_io_interface", name),),
    }
    assert {figure.data_type for figure in interfaces.figures} == {COUNTER64}


def test_disks_have_all_their_counters(procfs: ProcFS) -> None:
    """The units are psutil's, which converts sectors to bytes."""
    procfs.disks("sda", "loop0", "nvme0n1")
    (disks,) = answers(sources_of("disk_io"))
    assert [dict(f.labels)["disk_partition"] for f in disks.figures[::9]] == ["sda", "nvme0n1"]
    assert [(f.key, f.value, f.unit) for f in disks.figures[2:5]] == [
        ("disk_io_read_bytes", 3000 * 512, "bytes"),
        ("disk_io_write_bytes", 7000 * 512, "bytes"),
        ("disk_io_read_time", 40, "milliseconds"),
    ]


def test_a_mount_whose_name_is_not_utf8_is_shown_as_it_is_sent(
    procfs: ProcFS, tmp_path: Path
) -> None:
    r"""A byte that is not UTF-8 is sent as `\xNN`. The file system is asked by its real name."""
    place = bytes(tmp_path) + b"/caf\xe9"
    (tmp_path / "x").mkdir()
    (tmp_path / "x").rename(place.decode("utf-8", "surrogateescape"))
    procfs.mounts(place)
    (mounts,) = answers(sources_of("partitions"))
    assert {dict(f.labels)["disk_partition_mountpoint"] for f in mounts.figures} == {
        f"{tmp_path}/caf\\xe9"
    }
    assert [f.unit for f in mounts.figures] == ["bytes", "bytes", "bytes", "percent"]


def test_a_mount_that_is_gone_is_left_out_with_the_reason(procfs: ProcFS, tmp_path: Path) -> None:
    """The other mounts are there."""
    procfs.mounts(bytes(tmp_path), b"/no/such/place")
    (mounts,) = answers(sources_of("partitions"))
    assert len(mounts.figures) == 4
    assert list(mounts.left_out) == ["disk_partitions /no/such/place"]
    assert "No such file" in mounts.left_out["disk_partitions /no/such/place"]


def test_a_value_that_the_server_could_not_take_is_not_sent() -> None:
    """It is shown as none, as the encoder leaves it out."""
    (table, _) = registry.family("memory").TABLES
    figures = {"total": 8, "used": float("nan"), "slab": None}
    (used,) = answers([Fields(table, lambda: figures)])
    assert values(used) == {"memory_total": 8, "memory_used": None, "memory_slab": None}


# The time that polls take, and safe intervals.

LAYOUT = Layout(ORIGIN, 1000, ())


def measured(**more: object) -> polls.Measured:
    """Polls of 2 ms, with other values from `more`."""
    figures = {
        "families": {"memory": (0.005, 0.001, 0.003)},
        "polls": (0.1, 0.002, 0.002),
        "left_out": {},
        "layout": LAYOUT,
        "poll": Poll.of(LAYOUT, 0, []),
    }
    return polls.Measured(**(figures | more))  # type: ignore[arg-type]


def found(interval_s: float, **more: object) -> dict[str, Finding]:
    """The findings, by subject."""
    return {f.subject: f for f in polls.family_findings(measured(**more), interval_s)}


def test_the_first_poll_is_reported_apart_from_later_ones() -> None:
    """It takes longer than those that follow."""
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
    """It is a round figure, and never less than the agent accepts."""
    assert polls.safe_interval_s(poll_s) == interval_s


def test_an_interval_that_is_too_short_is_trouble() -> None:
    """The advice names a safe one."""
    assert found(0.01)["polling_interval"].state is State.OK
    short = found(0.01, polls=(0.001, 0.004, 0.004))["polling_interval"]
    assert short.state is State.TROUBLE
    assert short.found == "0.01 s; 0.02 s or more is safe on this host"
    assert short.advice.startswith("set it to 0.02 or more")


def test_findings_on_a_group_name_its_families_and_its_interval() -> None:
    """Each group has its own safe interval."""
    findings = polls.family_findings(measured(polls=(0.1, 0.004, 0.004)), 0.01, "memory, network")
    group = {f.subject: f for f in findings}
    assert group["interval of memory, network"].state is State.TROUBLE
    assert "in 4 ms, 4 ms at worst" in group["a poll every 0.01 s"].found


@pytest.mark.parametrize(
    ("shortest_s", "state"), [(0.2, State.OK), (0.07, State.OK), (0.05, State.TROUBLE)]
)
def test_all_groups_at_once_must_leave_the_shortest_interval_its_ticks(
    shortest_s: float, state: State
) -> None:
    """The slowest polls of each group run one after the other. First polls do not count."""
    groups = [measured(polls=(9.0, 0.01, 0.02)), measured(polls=(9.0, 0.04, 0.03))]
    found = polls.combined_finding(groups, shortest_s)
    assert found.state is state
    assert found.found.startswith("60 ms at worst")


def test_a_source_that_the_host_does_not_support_is_a_note() -> None:
    """Polls go on without it."""
    why = "the kernel gives no processor frequency"
    left = found(1, left_out={"processor.frequency": why})["processor.frequency"]
    assert (left.state, left.found) == (
        State.NOTE, "left out of the polls: the kernel gives no processor frequency",
    )  # fmt: skip


def test_measuring_polls_this_host_as_the_collector_does() -> None:
    """Each family is polled several times. A poll takes a little longer than its families."""
    taken = polls.measure(ORIGIN, 300_000)
    assert {"system", "processor", "memory", "disk_io", "network_io"} <= set(taken.families)
    assert len({len(seconds) for seconds in [*taken.families.values(), taken.polls]}) == 1
    first_poll = sum(seconds[0] for seconds in taken.families.values())
    assert 0 < first_poll <= taken.polls[0]
    assert taken.layout.interval_ms == 300_000
    assert len(taken.poll.values()) == len(taken.layout.series) > 50


def test_a_mount_that_hangs_is_named_and_delays_only_the_first_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first poll waits for it as long as the agent would; later polls do not."""
    ProcFS(tmp_path / "proc", monkeypatch).mounts(b"/", b"/dead")
    answered = threading.Event()
    usage: Callable[[str], object] = psutil.disk_usage

    def disk_usage(path: str) -> object:
        if path == "/dead":
            answered.wait(60)
        return usage("/")

    monkeypatch.setattr(psutil, "disk_usage", disk_usage)
    taken = polls.measure(ORIGIN, 200)
    answered.set()
    dead = {f.subject: f for f in polls.family_findings(taken, 0.2)}["disk_partitions /dead"]
    assert dead.state is State.TROUBLE
    assert "no answer within" in dead.found
    assert "umount" in dead.advice
    first, *again = taken.families["disk_partitions"]
    assert median(again) < first


# Filter patterns that match nothing.


def found_by_filters(**given: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - whatever a field holds
    """The subject and text of each note on these settings on this host."""
    notes = list(filter_findings(replace(DEFAULT_CONFIG, **given)))
    assert {note.state for note in notes} <= {State.NOTE}
    return [(note.subject, note.found) for note in notes]


def test_default_patterns_are_not_reported() -> None:
    """Some match nothing on most hosts, for example those for RAM disks."""
    assert found_by_filters() == []


def test_a_pattern_that_matches_is_not_reported() -> None:
    """Every host has a loopback interface."""
    assert found_by_filters(interfaces_exclude=("l?", "*")) == []
    assert found_by_filters(filesystems_without_device=("proc",)) == []


@pytest.mark.parametrize(
    "setting",
    [
        "mounts_include",
        "disks_exclude",
        "interfaces_include",
        "temperatures_exclude",
        "filesystems_without_device",
    ],
)
def test_a_pattern_that_matches_nothing_is_reported(setting: str) -> None:
    """The note names the pattern and its setting."""
    pattern = r"no such device \d+"
    assert found_by_filters(**{setting: (pattern,)}) == [
        (setting, f"{pattern!r} matches nothing on this host")
    ]


@pytest.mark.parametrize(
    ("sent", "silent"),
    [(("memory_total", "load_average_01min", "cpu_times_percent_idle"), set()),
     (("load_average_01min",), {"memory", "processor"})],
)  # fmt: skip
def test_a_family_of_which_nothing_is_polled_is_trouble(
    sent: tuple[str, ...], silent: set[str]
) -> None:
    """Every host has memory and a processor. A host without a disk is well."""
    layout = Layout(ORIGIN, 1000, tuple(Series(key, INTEGER, ()) for key in sent))
    families = {name: [0.1, 0.1] for name in ("system", "processor", "memory", "disk_io")}
    measured = Measured(families, [0.1, 0.1], {}, layout, Poll.of(layout, 1000, [1] * len(sent)))
    bad = [each for each in family_findings(measured, 1.0) if each.state is State.TROUBLE]
    assert {each.found for each in bad} == {f"polls hold nothing of {name}" for name in silent}

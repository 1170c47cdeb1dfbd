"""The top programs: which are polled, what they use, and how slowly their names change."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect.families._processes import Process, running
from pattoo_mp.collect.families.top_processes import (
    NameSlots,
    TopProcesses,
    Usage,
    UsageTracker,
    top_names,
)
from pattoo_mp.collect.poller import Poller
from tests.support.hosts import again, be
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = os.sysconf("SC_PAGE_SIZE")
HOUR = 3600.0


def process(pid: int, name: str, busy: int, resident: int = 10, started: int = 1) -> Process:
    """Return a sleeping process."""
    return Process(pid, started, name, "S", 1, busy, resident)


def test_all_processes_of_a_name_are_one_program() -> None:
    """Their times, memory and number are summed."""
    tracker = UsageTracker()
    tracker.usage([process(1, "web", 100), process(2, "web", 50), process(3, "sh", 5)])
    assert tracker.usage([process(1, "web", 130), process(2, "web", 51), process(3, "sh", 5)]) == {
        "web": Usage(31, 20, 2),
        "sh": Usage(0, 10, 1),
    }


def test_the_first_scan_gives_no_time() -> None:
    """Time from before the first scan belongs to no poll."""
    assert UsageTracker().usage([process(1, "web", 100)]) == {"web": Usage(0, 10, 1)}


def test_all_time_of_a_new_process_counts() -> None:
    """Even if it reuses the PID of a process that has exited."""
    tracker = UsageTracker()
    tracker.usage([process(1, "web", 100)])
    found = tracker.usage([process(1, "sh", 7, started=2), process(9, "cc", 40)])
    assert (found["sh"].ticks, found["cc"].ticks) == (7, 40)


def test_the_top_is_by_time_and_by_memory() -> None:
    """A program that used almost no time is not a top one by time."""
    second = os.sysconf("SC_CLK_TCK")
    usage = {
        "a": Usage(second // 2, 1),
        "b": Usage(second, 2),
        "c": Usage(0, 99),
        "d": Usage(1, 98),
    }
    assert top_names(usage, 1, 1.0) == ["b", "c"]
    assert top_names(usage, 3, 1.0) == ["b", "a", "c", "d"]
    assert top_names({"c": Usage(0, 99)}, 3, 1.0) == ["c"]
    assert top_names(usage, 1, 0.0) == ["c"]


def test_the_figures_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Percent of one processor, bytes, and number of processes."""
    be("laptop", monkeypatch)
    clock = iter([0.0, 2.0])
    poll = again(Poller([TopProcesses(2, monotonic=lambda: next(clock))], ORIGIN, 1000))
    programs = poll.by("top_processes_name")
    assert list(programs) == ["firefox", "Web Content"]
    assert programs["Web Content"] == {
        "top_processes_cpu": 0.0, "top_processes_memory": 100_000 * PAGE, "top_processes_count": 2,
    }  # fmt: skip
    assert poll.left_out == {}


def test_processor_time_is_a_share_of_the_time_between_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds of processor time in one second are two processors."""
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path), raising=False)
    (tmp_path / "1").mkdir()
    (tmp_path / "5").mkdir()
    clock = iter([0.0, 1.0, 2.0])
    poller = Poller([TopProcesses(1, monotonic=lambda: next(clock))], ORIGIN, 1000)
    for ticks in (0, 2 * os.sysconf("SC_CLK_TCK")):
        line = f"5 (cc) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 9 1 10 0"
        (tmp_path / "5" / "stat").write_text(line)
        poll = again(poller)
    assert poll.figures["top_processes_cpu"] == 200.0


def test_the_figures_of_a_program_that_has_exited_are_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its series stay for a while, so the layout does not change."""
    be("laptop", monkeypatch)
    poller = Poller([TopProcesses(1)], ORIGIN, 1000)
    before = again(poller)
    (tmp_path / "1").mkdir()
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path), raising=False)
    after = again(poller)
    assert list(after.series) == list(before.series)
    assert set(after.series.values()) == {0}


def test_arguments_are_never_sent() -> None:
    """They may contain passwords; only the name is read."""
    with subprocess.Popen(["sleep", "97531"]) as sleeper:

        def only_it() -> list[Process]:
            return [process for process in running() if process.pid == sleeper.pid]

        try:
            # Among all processes of a host it would hardly be a top one, and so never sent.
            poll = again(Poller([TopProcesses(1, only_it)], ORIGIN, 1000))
        finally:
            sleeper.kill()
    assert list(poll.by("top_processes_name")) == ["sleep"]
    assert not [series for series in poll.series if "97531" in str(series)]


def test_a_refused_name_is_noted() -> None:
    """For an hour, so that the log does not fill with notes."""
    slots = NameSlots(2)
    assert slots.update(["a", "b"], 0.0)
    assert not slots.update(["c"], 1.0)
    assert slots.names == ("a", "b")
    assert not slots.update(["a"], 2.0)
    assert slots.update(["a"], HOUR + 1)


def test_a_new_name_replaces_the_one_longest_below_the_top() -> None:
    """Once an hour has passed since the others were added."""
    slots = NameSlots(2)
    slots.update(["a", "b"], 0.0)
    slots.update(["b"], 10.0)
    assert slots.update(["b", "c"], HOUR)
    assert slots.names == ("b", "c")


@given(
    st.lists(
        st.tuples(
            st.sets(st.text("abcdefgh", min_size=1, max_size=2), max_size=2), st.floats(0, 2000)
        ),
        max_size=60,
    )
)
def test_few_new_names_come_in_an_hour(steps: list[tuple[set[str], float]]) -> None:
    """Never more than there are slots, however often the top programs change."""
    slots, now = NameSlots(4), 0.0
    came: list[float] = []
    for top, seconds in steps:
        now += seconds
        before = set(slots.names)
        slots.update(top, now)
        came += [now] * len(set(slots.names) - before)
        assert len(slots.names) <= 4
    for start in came:
        assert sum(start <= moment < start + HOUR for moment in came) <= 4

"""The programs that take most: which are named, what they take, and how few come and go."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp.collect.families._processes import Process
from pattoo_mp.collect.families.top_processes import Looks, Places, TopProcesses, Usage, top_of
from pattoo_mp.collect.poller import Poller
from tests.support.hosts import again, be
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = os.sysconf("SC_PAGE_SIZE")
HOUR = 3600.0


def process(pid: int, name: str, busy: int, resident: int = 10, started: int = 1) -> Process:
    """A process that sleeps."""
    return Process(pid, started, name, "S", 1, busy, resident)


def test_all_processes_of_a_name_are_one_program() -> None:
    """Their time, their memory and their number are added up."""
    looks = Looks()
    looks.usage([process(1, "web", 100), process(2, "web", 50), process(3, "sh", 5)])
    assert looks.usage([process(1, "web", 130), process(2, "web", 51), process(3, "sh", 5)]) == {
        "web": Usage(31, 20, 2),
        "sh": Usage(0, 10, 1),
    }


def test_the_first_look_knows_no_time() -> None:
    """What was taken before the agent began to look belongs to no poll."""
    assert Looks().usage([process(1, "web", 100)]) == {"web": Usage(0, 10, 1)}


def test_a_new_process_took_all_its_time_since() -> None:
    """Also where it has the number of one that has ended."""
    looks = Looks()
    looks.usage([process(1, "web", 100)])
    found = looks.usage([process(1, "sh", 7, started=2), process(9, "cc", 40)])
    assert (found["sh"].ticks, found["cc"].ticks) == (7, 40)


def test_the_top_is_by_time_and_by_memory() -> None:
    """Who took next to no time is not among the first of those who did."""
    second = os.sysconf("SC_CLK_TCK")
    usage = {
        "a": Usage(second // 2, 1),
        "b": Usage(second, 2),
        "c": Usage(0, 99),
        "d": Usage(1, 98),
    }
    assert top_of(usage, 1, 1.0) == ["b", "c"]
    assert top_of(usage, 3, 1.0) == ["b", "a", "c", "d"]
    assert top_of({"c": Usage(0, 99)}, 3, 1.0) == ["c"]
    assert top_of(usage, 1, 0.0) == ["c"]


def test_a_program_s_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Percent of one processor, bytes, processes; the kernel's threads under one name."""
    be("laptop", monkeypatch)
    clock = iter([0.0, 2.0])
    told = again(Poller([TopProcesses(2, monotonic=lambda: next(clock))], ORIGIN, 1000))
    programs = told.by("top_processes_name")
    assert list(programs) == ["firefox", "Web Content"]
    assert programs["Web Content"] == {
        "top_processes_cpu": 0.0, "top_processes_memory": 100_000 * PAGE, "top_processes_count": 2,
    }  # fmt: skip
    assert told.left_out == {}


def test_time_is_a_share_of_the_time_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds of processor time in one second are two processors."""
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path), raising=False)
    (tmp_path / "5").mkdir()
    clock = iter([0.0, 1.0, 2.0])
    poller = Poller([TopProcesses(1, monotonic=lambda: next(clock))], ORIGIN, 1000)
    for ticks in (0, 2 * os.sysconf("SC_CLK_TCK")):
        line = f"5 (cc) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 9 1 10 0"
        (tmp_path / "5" / "stat").write_text(line)
        told = again(poller)
    assert told.figures["top_processes_cpu"] == 200.0


def test_a_program_that_has_ended_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its series stay for a while: no layout comes and goes with it."""
    be("laptop", monkeypatch)
    poller = Poller([TopProcesses(1)], ORIGIN, 1000)
    before = again(poller)
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path), raising=False)
    after = again(poller)
    assert list(after.series) == list(before.series)
    assert set(after.series.values()) == {0}


def test_arguments_are_never_told() -> None:
    """They hold passwords; the name alone is asked for."""
    with subprocess.Popen(["sleep", "97531"]) as sleeper:
        try:
            told = again(Poller([TopProcesses(20)], ORIGIN, 1000))
        finally:
            sleeper.kill()
    assert not [series for series in told.series if "97531" in str(series)]


def test_who_finds_no_room_is_told_of() -> None:
    """For an hour, so that the log is not full of it."""
    places = Places(2)
    assert places.update(["a", "b"], 0.0)
    assert not places.update(["c"], 1.0)
    assert places.names == ("a", "b")
    assert not places.update(["a"], 2.0)
    assert places.update(["a"], HOUR + 1)


def test_a_newcomer_takes_the_place_of_who_was_longest_below_the_top() -> None:
    """Once the hour of those that came before is over."""
    places = Places(2)
    places.update(["a", "b"], 0.0)
    places.update(["b"], 10.0)
    assert places.update(["b", "c"], HOUR)
    assert places.names == ("b", "c")


@given(
    st.lists(
        st.tuples(
            st.sets(st.text("abcdefgh", min_size=1, max_size=2), max_size=2), st.floats(0, 2000)
        ),
        max_size=60,
    )
)
def test_few_new_names_come_in_an_hour(steps: list[tuple[set[str], float]]) -> None:
    """Never more than there are places for, however wild it goes on the host."""
    places, now = Places(4), 0.0
    came: list[float] = []
    for top, seconds in steps:
        now += seconds
        before = set(places.names)
        places.update(top, now)
        came += [now] * len(set(places.names) - before)
        assert len(places.names) <= 4
    for start in came:
        assert sum(start <= moment < start + HOUR for moment in came) <= 4

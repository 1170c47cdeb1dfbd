"""Processes by state, on a laptop and on this host."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.collect.families._processes import parse, running
from tests.support.hosts import be, polled
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def state_of(pid: int) -> str:
    """Return the kernel's letter for the process's state."""
    return next(process.state for process in running() if process.pid == pid)


def test_processes_are_counted_by_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regardless of special characters in their names."""
    be("laptop", monkeypatch)
    poll = polled("process_states").figures
    assert {key.removeprefix("process_states_"): value for key, value in poll.items()} == {
        "running": 1, "sleeping": 4, "waiting": 1, "idle": 2, "stopped": 2, "zombie": 1,
        "other": 1, "threads": 140,
    }  # fmt: skip


def test_this_hosts_processes_are_those_of_psutil() -> None:
    """Our own process is found, with its name and its number of threads."""
    me = psutil.Process()
    found = {process.pid: process for process in running()}
    assert found[me.pid].name == me.name()[:15]
    wait_for(
        lambda: {p.pid: p.threads for p in running()}[me.pid] == me.num_threads(),
        what="a moment in which no thread of other tests ends",
    )
    assert me.pid in found


def test_a_process_that_exits_during_the_scan_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory is listed, but its file is gone."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    (tmp_path / "77").mkdir()
    (tmp_path / "1").mkdir()
    assert list(running()) == []


def test_a_zombie_is_counted() -> None:
    """A child of this process, until it is reaped."""
    with subprocess.Popen(["true"]) as process:
        wait_for(lambda: state_of(process.pid) == "Z", what="its end")
        assert polled("process_states").figures["process_states_zombie"] != 0


STAT = "7 (a) S 1 7 7 0 -1 0 0 0 0 0 3 4 0 0 20 -5 2 0 99 1000 55"


@pytest.mark.parametrize(
    ("possible", "impossible"),
    [(" 20 -5 2 ", " 20 -5 -2 "), (" -5 2 ", " -5 4194305 "), (" 3 4 ", " -3 4 "), (" 3 4 ", " 3 -4 "),
     (" 99 ", " -99 "), (" 1000 55", " 1000 -55"), (" 3 4 ", " 18446744073709551616 4 ")],
)  # fmt: skip
def test_a_number_that_no_process_can_have_makes_its_line_unreadable(
    possible: str, impossible: str
) -> None:
    """Only priority and nice value may be below 0."""
    assert parse(STAT).threads == 2
    with pytest.raises(ValueError, match="no process can have"):
        parse(STAT.replace(possible, impossible))


@pytest.mark.parametrize("line", ["", "7 (a) S", "7 (a) S 1 x" + " 0" * 30, "x (a) S" + " 1" * 30])
def test_an_invalid_stat_line_is_refused(line: str) -> None:
    """The poller will leave the family out, with the reason."""
    with pytest.raises(ValueError, match=r"fields|invalid|unpack|not enough"):
        parse(line)

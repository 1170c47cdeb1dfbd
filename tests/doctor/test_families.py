"""How long polls take, and what follows from it."""

from __future__ import annotations

import threading
from statistics import median
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp.doctor import polls
from pattoo_mp.doctor.finding import Finding, State
from pattoo_mp.model import Layout, Poll
from tests.support.procfs import ProcFS
from tests.wire.posts import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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

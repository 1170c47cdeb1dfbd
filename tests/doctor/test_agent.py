"""Whether an agent runs, and under whom."""

from __future__ import annotations

import pytest

from pattoo_mp.doctor.agent import Running, findings, unit_of
from pattoo_mp.doctor.finding import State


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/pattoo_agent.service\n", "pattoo_agent.service"),
        ("12:pids:/\n1:name=systemd:/system.slice/supervisor.service\n0::/\n", "supervisor.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service\n", "mine.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/docker/0123abcd\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_service_of_systemds_is_known_by_its_cgroup(cgroups: str, unit: str) -> None:
    """What a person started by hand is in none."""
    assert unit_of(cgroups) == unit


@pytest.mark.parametrize(
    ("running", "state", "words"),
    [
        (Running(7, "systemd's unit x.service"), State.WELL, "7, run by systemd's unit x.service"),
        (Running(7), State.WELL, "7, started by hand: nothing restarts it"),
        (Running(), State.NOTE, "none runs"),
        (Running(keeper="supervisord at x (FATAL)"), State.NOTE,
         "none runs, known to supervisord at x (FATAL)"),
        (Running(7, error="7 may not be asked"), State.NOTE, "7 may not be asked"),
        (Running(error="Permission denied"), State.NOTE, "Permission denied"),
        (Running(7, silent="timed out"), State.TROUBLE, "7 does not answer (timed out)"),
    ],
)  # fmt: skip
def test_an_agent_is_told_with_who_keeps_it(running: Running, state: State, words: str) -> None:
    """One that is silent is trouble; one that does not run is not."""
    (found,) = findings(running)
    assert (found.state, found.found) == (state, words)
    assert bool(found.advice) == (state is not State.WELL)


def test_an_agent_in_trouble_is_trouble() -> None:
    """Its status has more to say of it, so it is not said twice."""
    _, found = findings(Running(7, troubles=2))
    assert (found.state, found.found) == (State.TROUBLE, "speaks of 2 troubles")
    assert "--status" in found.advice


def test_a_last_run_that_was_cut_short_is_noted() -> None:
    """It is over, so it is no trouble; why it was may be worth a look."""
    _, found = findings(Running(cut_short_pid=7))
    assert (found.state, found.subject) == (State.NOTE, "last run")
    assert found.found.startswith("process 7 did not end in order")
    assert "dmesg" in found.advice


def test_a_supervisord_that_is_kept_from_running_it_is_noted() -> None:
    """By a start by hand before it."""
    _, found = findings(Running(7, beside="supervisord at x (BACKOFF)"))
    assert (found.state, found.subject) == (State.NOTE, "supervisord")
    assert found.found == "at x (BACKOFF) cannot run it beside that one"
    assert found.advice.startswith("--restart")


def test_a_supervisord_that_hangs_is_trouble() -> None:
    """A stop would wait for it."""
    found, _ = findings(Running(7, keeper_error="no answer within 5 s"))
    assert (found.state, found.subject) == (State.TROUBLE, "supervisord")

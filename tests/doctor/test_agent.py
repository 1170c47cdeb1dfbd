"""Check the agent's process, its supervisor and its troubles."""

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
def test_a_systemd_service_is_found_by_its_cgroup(cgroups: str, unit: str) -> None:
    """A process that was started by hand belongs to no service."""
    assert unit_of(cgroups) == unit


@pytest.mark.parametrize(
    ("running", "state", "words"),
    [
        (Running(7, "systemd unit x.service"), State.OK, "7, run by systemd unit x.service"),
        (Running(7), State.OK, "7, started by hand: nothing restarts it"),
        (Running(), State.NOTE, "not running"),
        (Running(supervisor="supervisord at x (FATAL)"), State.NOTE,
         "not running (known to supervisord at x (FATAL))"),
        (Running(7, error="no permission to ask process 7"), State.NOTE,
         "no permission to ask process 7"),
        (Running(error="Permission denied"), State.NOTE, "Permission denied"),
        (Running(7, no_answer="timed out"), State.TROUBLE, "7 does not answer (timed out)"),
    ],
)  # fmt: skip
def test_the_process_is_reported_with_its_supervisor(
    running: Running, state: State, words: str
) -> None:
    """An agent that does not answer is trouble; one that does not run is not."""
    (found,) = findings(running)
    assert (found.state, found.found) == (state, words)
    assert bool(found.advice) == (state is not State.OK)


def test_an_agent_with_troubles_is_trouble() -> None:
    """The finding refers to --status, which explains each of them."""
    _, found = findings(Running(7, troubles=2))
    assert (found.state, found.found) == (State.TROUBLE, "reports 2 troubles")
    assert "--status" in found.advice


def test_an_agent_that_was_killed_and_does_not_run_is_trouble() -> None:
    """Nothing polls this host, and nobody stopped it. The advice says where to look for the cause."""
    _, found = findings(Running(cut_short_pid=7))
    assert (found.state, found.subject) == (State.TROUBLE, "last run")
    assert found.found.startswith("process 7 did not end in order")
    assert "dmesg" in found.advice


def test_a_supervisord_that_cannot_start_the_agent_is_a_note() -> None:
    """The agent was started by hand before supervisord tried."""
    _, found = findings(Running(7, blocked="supervisord at x (BACKOFF)"))
    assert (found.state, found.subject) == (State.NOTE, "supervisord")
    assert found.found == "at x (BACKOFF) cannot start the agent while that process runs"
    assert found.advice.startswith("use --restart")


def test_a_supervisord_that_hangs_is_trouble() -> None:
    """--stop would wait for it."""
    found, _ = findings(Running(7, supervisor_error="no answer within 5 s"))
    assert (found.state, found.subject) == (State.TROUBLE, "supervisord")

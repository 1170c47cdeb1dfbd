"""Whether control is alive although its process is there."""

from __future__ import annotations

import io
import logging
import os
import socket
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import ConfigError
from pattoo_mp.operate.event_listener import HeartbeatListener, Process, Pulse, feel, is_hung, ticks
from tests.support.agent import NAME
from tests.support.locked import lock_held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


RUNNING = Process(7, "RUNNING")


@pytest.fixture
def silent(home: Path) -> Iterator[Path]:
    """The socket of a control process that listens, and never answers."""
    path = home / "run" / "agent.sock"
    door = StatusSocket(path)
    yield path
    door.close()


def test_who_does_not_answer_is_silent(silent: Path) -> None:
    """The question was taken, and nothing came."""
    pulse, reason = feel(silent, 0.05)
    assert (pulse, reason) == (Pulse.SILENT, "no answer within 0.05 s")


def test_a_queue_of_questions_without_an_answer_is_silence_too(silent: Path) -> None:
    """Others asked before us, in vain, until no more fit."""
    callers: list[socket.socket] = []
    try:
        while not callers or not callers[-1].connect_ex(str(silent)):
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].setblocking(False)
        assert feel(silent, 5)[0] is Pulse.SILENT
    finally:
        for caller in callers:
            caller.close()


def test_nobody_at_the_socket_is_no_silence(home: Path) -> None:
    """No directory, no socket, or one that a killed process left: an agent that starts or ends."""
    path = home / "run" / "agent.sock"
    assert feel(path, 5) == (Pulse.UNKNOWN, f"{path}: No such file or directory")
    door = StatusSocket(path)
    door.close()
    assert feel(path, 5) == (Pulse.UNKNOWN, f"{path}: Connection refused")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_socket_that_is_not_ours_to_use_is_no_silence(silent: Path) -> None:
    """Whoever may not ask cannot know; no restart would change that."""
    silent.parent.parent.chmod(0o755)
    os.seteuid(65534)
    try:
        pulse, reason = feel(silent, 5)
    finally:
        os.seteuid(0)
    assert pulse is Pulse.UNKNOWN
    assert reason.endswith("Permission denied")


def test_a_silent_process_that_was_meant_to_run_all_the_while_hangs() -> None:
    """The one case for a restart."""
    assert is_hung(RUNNING, Pulse.SILENT, RUNNING)


@pytest.mark.parametrize("pulse", [Pulse.BEATS, Pulse.UNKNOWN])
def test_without_silence_nothing_hangs(pulse: Pulse) -> None:
    """An answer, or a question that could not be asked."""
    assert not is_hung(RUNNING, pulse, RUNNING)


@pytest.mark.parametrize("state", ["STARTING", "STOPPING", "STOPPED", "BACKOFF", "FATAL", "EXITED"])
def test_what_starts_or_stops_does_not_hang(state: str) -> None:
    """Before or after the question, or both."""
    other = Process(7, state)
    assert not is_hung(other, Pulse.SILENT, other)
    assert not is_hung(RUNNING, Pulse.SILENT, other)
    assert not is_hung(other, Pulse.SILENT, RUNNING)


def test_a_silence_of_the_process_before_is_not_held_against_its_successor() -> None:
    """Somebody restarted it meanwhile."""
    assert not is_hung(RUNNING, Pulse.SILENT, Process(8, "RUNNING"))


# The listener's side of supervisord's event protocol, and what it does without a need to restart.


def event(name: str, payload: str) -> str:
    """What supervisord writes for one event."""
    return (
        f"ver:3.0 server:pattoo_mp serial:21 pool:heartbeat poolserial:10 eventname:{name} "
        f"len:{len(payload)}\n{payload}"
    )


def test_each_tick_is_acknowledged_when_it_is_dealt_with() -> None:
    """READY, the event, its result, and so on until supervisord ends."""
    sent = event("TICK_5", "when:1795503945") + event("TICK_60", "when:1795503960")
    answers = io.StringIO()
    dealt_with = [(period, answers.getvalue()) for period in ticks(io.StringIO(sent), answers)]
    assert dealt_with == [(5, "READY\n"), (60, "READY\nRESULT 2\nOKREADY\n")]
    assert answers.getvalue() == "READY\nRESULT 2\nOK" * 2 + "READY\n"


def test_other_events_are_acknowledged_and_nothing_else() -> None:
    """A section may subscribe to more than it should."""
    sent = event("PROCESS_STATE_EXITED", "processname:cat groupname:cat from_state:RUNNING")
    answers = io.StringIO()
    assert list(ticks(io.StringIO(sent), answers)) == []
    assert answers.getvalue() == "READY\nRESULT 2\nOKREADY\n"


def test_an_agent_that_is_stopped_is_left_alone(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever stopped it need not explain that to the listener."""
    HeartbeatListener(lambda: home, {}).tick(60)
    assert caplog.messages == []


def test_a_silent_agent_that_no_supervisord_runs_is_left_alone(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what it cannot do, once for as long as it lasts."""
    door = StatusSocket(home / "run" / f"{NAME}.sock")
    listener = HeartbeatListener(lambda: home, {})
    with lock_held(home / "pid" / f"{NAME}.pid"), caplog.at_level(logging.WARNING):
        listener.tick(0)
        listener.tick(0)
    door.close()
    (message,) = caplog.messages
    assert message.startswith("The agent is left alone: SUPERVISOR_SERVER_URL is not set; expected")


def test_an_agent_without_its_socket_is_left_alone(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be starting: no restart, and the reason in the log."""
    with lock_held(home / "pid" / f"{NAME}.pid"), caplog.at_level(logging.WARNING):
        HeartbeatListener(lambda: home, {}).tick(60)
    (message,) = caplog.messages
    assert message == (
        f"The agent is left alone: {home}/run/{NAME}.sock: No such file or directory."
    )


def test_a_broken_configuration_does_not_end_the_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says so, and looks again at the next tick: the configuration may be mended by then."""

    def find() -> Path:
        raise ConfigError(["pattoo.yaml: broken; expected YAML"])

    HeartbeatListener(find, {}).tick(60)
    assert caplog.messages == ["The agent is left alone: pattoo.yaml: broken; expected YAML."]

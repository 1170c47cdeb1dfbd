"""The heartbeat of the control process, and the listener that restarts the agent without one."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import ConfigError
from pattoo_mp.operate.event_listener import (
    Heartbeat,
    HeartbeatListener,
    Process,
    check_heartbeat,
    is_hung,
    ticks,
)
from tests.support.agent import NAME
from tests.support.locked import lock_held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: From <linux/fcntl.h>; Python has it since 3.13.
_F_OFD_SETLK = 37
RUNNING = Process(7, "RUNNING")


@pytest.fixture
def silent(home: Path) -> Iterator[Path]:
    """The socket of a control process that listens, and never answers."""
    path = home / "run" / "agent.sock"
    listening = StatusSocket(path)
    yield path
    listening.close()


def test_without_an_answer_the_heartbeat_is_missing(silent: Path) -> None:
    """The connection is accepted, but no answer comes."""
    heartbeat, reason = check_heartbeat(silent, 0.05)
    assert (heartbeat, reason) == (Heartbeat.MISSING, "no answer within 0.05 s")


def test_with_a_full_queue_the_heartbeat_is_missing_too(silent: Path) -> None:
    """Earlier questions without an answer fill the queue of connections."""
    callers: list[socket.socket] = []
    try:
        while not callers or not callers[-1].connect_ex(str(silent)):
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].setblocking(False)
        assert check_heartbeat(silent, 5)[0] is Heartbeat.MISSING
    finally:
        for caller in callers:
            caller.close()


def test_without_a_listening_socket_the_heartbeat_is_unknown(home: Path) -> None:
    """No socket, or one that a killed process left: the agent may be starting or ending."""
    path = home / "run" / "agent.sock"
    assert check_heartbeat(path, 5) == (Heartbeat.UNKNOWN, f"{path}: No such file or directory")
    listening = StatusSocket(path)
    listening.close()
    assert check_heartbeat(path, 5) == (Heartbeat.UNKNOWN, f"{path}: Connection refused")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_without_permission_the_heartbeat_is_unknown(silent: Path) -> None:
    """A restart would not change that."""
    silent.parent.parent.chmod(0o755)
    os.seteuid(65534)
    try:
        heartbeat, reason = check_heartbeat(silent, 5)
    finally:
        os.seteuid(0)
    assert heartbeat is Heartbeat.UNKNOWN
    assert reason.endswith("Permission denied")


def test_a_running_process_without_heartbeat_hangs() -> None:
    """The only case for a restart."""
    assert is_hung(RUNNING, Heartbeat.MISSING, RUNNING)


@pytest.mark.parametrize("heartbeat", [Heartbeat.ANSWERED, Heartbeat.UNKNOWN])
def test_a_process_whose_heartbeat_is_not_missing_does_not_hang(heartbeat: Heartbeat) -> None:
    """There was an answer, or the question could not be asked."""
    assert not is_hung(RUNNING, heartbeat, RUNNING)


@pytest.mark.parametrize("state", ["STARTING", "STOPPING", "STOPPED", "BACKOFF", "FATAL", "EXITED"])
def test_a_process_that_starts_or_stops_does_not_hang(state: str) -> None:
    """Before the question, after it, or both."""
    other = Process(7, state)
    assert not is_hung(other, Heartbeat.MISSING, other)
    assert not is_hung(RUNNING, Heartbeat.MISSING, other)
    assert not is_hung(other, Heartbeat.MISSING, RUNNING)


def test_a_process_that_was_just_restarted_does_not_hang() -> None:
    """The heartbeat of its predecessor was missing."""
    assert not is_hung(RUNNING, Heartbeat.MISSING, Process(8, "RUNNING"))


# The listener's side of supervisord's event protocol, and the cases in which it does not restart.


def event(name: str, payload: str) -> str:
    """The text that supervisord sends for one event."""
    return (
        f"ver:3.0 server:pattoo_mp serial:21 pool:heartbeat poolserial:10 eventname:{name} "
        f"len:{len(payload)}\n{payload}"
    )


def test_each_tick_is_acknowledged_after_it_was_handled() -> None:
    """READY, the event, its result, and so on until supervisord ends."""
    sent = event("TICK_5", "when:1795503945") + event("TICK_60", "when:1795503960")
    answers = io.StringIO()
    handled = [(period, answers.getvalue()) for period in ticks(io.StringIO(sent), answers)]
    assert handled == [(5, "READY\n"), (60, "READY\nRESULT 2\nOKREADY\n")]
    assert answers.getvalue() == "READY\nRESULT 2\nOK" * 2 + "READY\n"


def test_other_events_are_only_acknowledged() -> None:
    """The section may subscribe to more events than it should."""
    sent = event("PROCESS_STATE_EXITED", "processname:cat groupname:cat from_state:RUNNING")
    answers = io.StringIO()
    assert list(ticks(io.StringIO(sent), answers)) == []
    assert answers.getvalue() == "READY\nRESULT 2\nOKREADY\n"


def test_a_stopped_agent_is_not_restarted(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stop is no error, so nothing is logged."""
    HeartbeatListener(lambda: home, {}).tick(60)
    assert caplog.messages == []


def test_a_hung_agent_without_supervisord_is_not_restarted(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is logged once while it lasts."""
    listening = StatusSocket(home / "run" / f"{NAME}.sock")
    listener = HeartbeatListener(lambda: home, {})
    with lock_held(home / "pid" / f"{NAME}.pid"), caplog.at_level(logging.WARNING):
        listener.tick(0)
        listener.tick(0)
    listening.close()
    (message,) = caplog.messages
    assert message.startswith(
        "Not restarting the agent: SUPERVISOR_SERVER_URL is not set; expected"
    )


def test_a_hung_agent_that_the_kernel_does_not_name_is_not_restarted(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its number is 0, as that of a program in supervisord's answer that does not run."""
    listening = StatusSocket(home / "run" / f"{NAME}.sock")
    path = home / "pid" / f"{NAME}.pid"
    path.parent.mkdir()
    # A lock without an owner, of the open file description. The structure is that of fcntl(2).
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.fcntl(descriptor, _F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    HeartbeatListener(lambda: home, {}).tick(0)
    os.close(descriptor)
    listening.close()
    assert caplog.messages == [
        "Not restarting the agent: a process that the kernel does not name here gave no answer within 0 s."
    ]


def test_an_agent_without_its_socket_is_not_restarted(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be starting; the reason is logged."""
    with lock_held(home / "pid" / f"{NAME}.pid"), caplog.at_level(logging.WARNING):
        HeartbeatListener(lambda: home, {}).tick(60)
    (message,) = caplog.messages
    assert message == (
        f"Not restarting the agent: {home}/run/{NAME}.sock: No such file or directory."
    )


def test_a_broken_configuration_does_not_end_the_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It logs the error and tries again at the next tick."""

    def find() -> Path:
        raise ConfigError(["pattoo.yaml: broken; expected YAML"])

    HeartbeatListener(find, {}).tick(60)
    assert caplog.messages == ["Not restarting the agent: pattoo.yaml: broken; expected YAML."]

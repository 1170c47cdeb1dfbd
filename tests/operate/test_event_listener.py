"""The listener's side of supervisord's event protocol, and what it does without a need to restart."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.errors import ConfigError
from pattoo_mp.operate.event_listener import HeartbeatListener, ticks
from tests.support.agent import NAME
from tests.support.locked import lock_held

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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

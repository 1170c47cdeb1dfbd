"""Whether control is alive although its process is there."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.control.status_socket import StatusSocket
from pattoo_mp.operate.event_listener import Process, Pulse, feel, is_hung

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

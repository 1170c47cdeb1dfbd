"""Asking a control process for its status."""

from __future__ import annotations

import json
import resource
import select
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.control.status_socket import StatusSocket, ask
from pattoo_mp.errors import StartError
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = {"polls": {"polled": 7}, "text": "ü"}


@pytest.fixture
def path(home: Path) -> Path:
    """Where the door is, in a directory that is not there yet."""
    return home / "run" / "agent.sock"


class Porter:
    """Answers at a door from a thread until it is told to stop."""

    def __init__(self, path: Path, status: dict[str, Any]) -> None:
        self.status_socket = StatusSocket(path)
        self._status = status
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if select.select([self.status_socket], [], [], 0.01)[0]:
                self.status_socket.answer(self._status)

    def stop(self) -> None:
        """End, and leave the door to the caller."""
        self._stopping.set()
        self._thread.join(20)


@pytest.fixture
def porter(path: Path) -> Iterator[Porter]:
    """One that answers with the status."""
    answering = Porter(path, STATUS)
    yield answering
    answering.stop()
    answering.status_socket.close()


def test_a_door_that_finds_no_place_can_be_waited_at_and_tries_again(path: Path) -> None:
    """Control waits on it in its loop; a directory that is no directory is mended some day."""
    status_socket = StatusSocket(path)
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()
    for _ in range(2):
        with pytest.raises(StartError, match="expected a path that can hold the status socket"):
            status_socket.ensure_in_place()
        assert select.select([status_socket], [], [], 0)[0] == []
    path.parent.unlink()
    status_socket.ensure_in_place()
    assert path.is_socket()
    status_socket.close()


def test_a_door_without_a_descriptor_rests(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who knocks is answered once there is one; until then nobody waits there, and one line says so."""
    status_socket = StatusSocket(path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        assert (status_socket.is_paused, status_socket.wake_at) == (False, float("inf"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            status_socket.answer(STATUS)
            status_socket.answer(STATUS)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert status_socket.is_paused
        assert status_socket.wake_at <= time.monotonic() + 1.0
        assert caplog.messages == [f"{path}: cannot answer status requests: Too many open files."]
        wait_for(lambda: not status_socket.is_paused, what="the end of its rest")
        status_socket.answer(STATUS)
        assert json.loads(caller.recv(1 << 16)) == STATUS
    status_socket.close()


def test_who_asks_is_answered(porter: Porter, path: Path) -> None:
    """Each time, with the status as it was given."""
    del porter
    assert [ask(path) for _ in range(3)] == [STATUS] * 3


def test_only_the_owner_may_ask(porter: Porter, path: Path) -> None:
    """The socket has mode 0600, its directory 0700."""
    del porter
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nobody_there_is_an_error(path: Path) -> None:
    """No directory, no socket, a socket of a process that was killed."""
    with pytest.raises(OSError, match="No such file"):
        ask(path)
    path.parent.mkdir()
    with pytest.raises(OSError, match="No such file"):
        ask(path)
    StatusSocket(path).close()
    with pytest.raises(ConnectionRefusedError):
        ask(path)


def test_a_stale_socket_is_replaced(path: Path) -> None:
    """A control process that was killed leaves its socket; the next one opens anew."""
    StatusSocket(path).close()
    assert path.is_socket()
    porter = Porter(path, STATUS)
    assert ask(path) == STATUS
    porter.stop()
    porter.status_socket.close()


def test_a_worker_that_closes_its_copy_leaves_the_door_open(porter: Porter, path: Path) -> None:
    """It goes on listening in control."""
    copy = StatusSocket.__new__(StatusSocket)
    copy._path, copy._socket = path, porter.status_socket._socket.dup()
    copy.close()
    assert ask(path) == STATUS


def test_a_path_of_any_length_works(home: Path) -> None:
    """A socket address holds 108 bytes; a directory's name may be far longer."""
    path = home.joinpath(*["d" * 200] * 5) / "agent.sock"
    porter = Porter(path, STATUS)
    assert ask(path) == STATUS
    porter.stop()
    porter.status_socket.close()


def test_a_large_status_is_answered_whole(path: Path) -> None:
    """A host with many troubles has a long status."""
    status = {"troubles": [f"trouble {n}" for n in range(4000)]}
    porter = Porter(path, status)
    assert ask(path) == status
    porter.stop()
    porter.status_socket.close()


def test_a_caller_that_never_reads_holds_nobody_up(path: Path) -> None:
    """It gets what fits; control goes on, and the next caller is answered."""
    status_socket = StatusSocket(path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        large = {"x": "y" * (64 << 20)}
        answered = threading.Thread(target=status_socket.answer, args=(large,), daemon=True)
        answered.start()
        answered.join(20)
        assert not answered.is_alive()
    status_socket.close()


def test_a_caller_that_is_gone_holds_nobody_up(path: Path) -> None:
    """Who connects and leaves at once does no harm."""
    status_socket = StatusSocket(path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    status_socket.answer(STATUS)
    status_socket.answer(STATUS)  # nobody waits at all
    status_socket.close()


@pytest.mark.parametrize("answer", [b"", b'{"half": ', b"[1]", b"\xff", b"17"])
def test_half_an_answer_is_an_error(path: Path, answer: bytes) -> None:
    """A control process that was killed while it answered has not answered."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.sendall(answer)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        with pytest.raises(OSError, match="answer"):
            ask(path)
        wait_for(lambda: not serving.is_alive())

"""Requests to the status socket."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import stat
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from pattoo_mp.control import status_socket as status_socket_module
from pattoo_mp.control.status_socket import StatusSocket, ask
from pattoo_mp.errors import StartError
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = {"polls": {"polled": 7}, "text": "ü"}


@pytest.fixture
def path(home: Path) -> Path:
    """The path of the socket, in a directory that does not exist yet."""
    return home / "run" / "agent.sock"


class Server:
    """Answers requests from a thread until stopped."""

    def __init__(self, path: Path, status: dict[str, Any]) -> None:
        self.status_socket = StatusSocket(path)
        self._status = status
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            reading, writing = [self.status_socket], self.status_socket.callers
            readable, writable, _ = select.select(reading, writing, [], 0.01)
            if readable:
                self.status_socket.answer(self._status)
            self.status_socket.flush(writable)

    def stop(self) -> None:
        """Stop answering; the caller closes the socket."""
        self._stopping.set()
        self._thread.join(20)


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    """A server that answers with `STATUS`."""
    answering = Server(path, STATUS)
    yield answering
    answering.stop()
    answering.status_socket.close()


def test_a_socket_that_cannot_be_recreated_is_retried(path: Path) -> None:
    """The loop of control can still wait on the old socket until the directory is back."""
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


def test_without_a_descriptor_the_socket_pauses(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller is answered once there is one; until then the loop must not wait, and logs one line."""
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
        wait_for(lambda: not status_socket.is_paused, what="the end of the pause")
        status_socket.answer(STATUS)
        assert json.loads(caller.recv(1 << 16)) == STATUS
    status_socket.close()


def test_requests_are_answered(server: Server, path: Path) -> None:
    """Each time, with the given status."""
    del server
    assert [ask(path) for _ in range(3)] == [STATUS] * 3


def test_only_the_owner_may_ask(server: Server, path: Path) -> None:
    """The socket has mode 0600, its directory 0700."""
    del server
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_request_without_control_is_an_error(path: Path) -> None:
    """No directory, no socket, or the socket of a killed process."""
    with pytest.raises(OSError, match="No such file"):
        ask(path)
    path.parent.mkdir()
    with pytest.raises(OSError, match="No such file"):
        ask(path)
    StatusSocket(path).close()
    with pytest.raises(ConnectionRefusedError):
        ask(path)


def test_a_stale_socket_is_replaced(path: Path) -> None:
    """A killed control process leaves its socket; the next one creates a new one."""
    StatusSocket(path).close()
    assert path.is_socket()
    server = Server(path, STATUS)
    assert ask(path) == STATUS
    server.stop()
    server.status_socket.close()


def test_a_worker_that_closes_its_copy_leaves_the_socket_open(server: Server, path: Path) -> None:
    """Control goes on listening."""
    copy = StatusSocket.__new__(StatusSocket)
    copy._path, copy._socket = path, server.status_socket._socket.dup()
    copy._callers = deque()
    copy.close()
    assert ask(path) == STATUS


def test_a_path_of_any_length_works(home: Path) -> None:
    """A socket address holds 108 bytes; a path may be far longer."""
    path = home.joinpath(*["d" * 200] * 5) / "agent.sock"
    server = Server(path, STATUS)
    assert ask(path) == STATUS
    server.stop()
    server.status_socket.close()


#: 5,000 mounts that were left out: far more than a socket buffers.
LARGE = {"troubles": {f"/srv/{n}/{'long' * 50}": "PermissionError: no" for n in range(5000)}}


@pytest.fixture
def large(path: Path) -> Iterator[Server]:
    """A server that answers with `LARGE`."""
    answering = Server(path, LARGE)
    yield answering
    answering.stop()
    answering.status_socket.close()


@contextlib.contextmanager
def caller_at(path: Path) -> Iterator[socket.socket]:
    """Connect for the block, with a small buffer."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(str(path))
        yield caller


def test_a_large_status_is_sent_completely(large: Server, path: Path) -> None:
    """As often as it is asked for."""
    for _ in range(3):
        assert ask(path) == LARGE
    wait_for(lambda: not large.status_socket.callers, what="the end of all answers")


def test_a_caller_that_reads_slowly_gets_all_of_it(large: Server, path: Path) -> None:
    """Others are answered meanwhile."""
    answer = b""
    with caller_at(path) as caller:
        while piece := caller.recv(20_000):
            answer += piece
            if len(answer) < 500_000:
                assert ask(path) == LARGE
                assert len(large.status_socket.callers) >= 1
    assert json.loads(answer) == LARGE


def test_callers_that_never_read_block_nothing(large: Server, path: Path) -> None:
    """However many they are: the one that began first is given up."""
    with contextlib.ExitStack() as never:
        callers = []
        for number in range(1, 21):
            callers.append(never.enter_context(caller_at(path)))
            at_most = min(number, 8)
            wait_for(lambda n=at_most: len(large.status_socket.callers) == n)  # type: ignore[misc]
        assert ask(path) == LARGE
        wait_for(lambda: len(large.status_socket.callers) <= 8, what="the end of the first")
        first = b"".join(iter(lambda: callers[0].recv(1 << 16), b""))
        assert len(first) < len(json.dumps(LARGE))
    wait_for(lambda: not large.status_socket.callers, what="the end of all answers")


def test_a_caller_that_has_stopped_reading_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop wakes up for that."""
    monkeypatch.setattr(status_socket_module, "_UNREAD_S", 0.2)
    status_socket = StatusSocket(path)
    with caller_at(path):
        status_socket.answer(LARGE)
        assert time.monotonic() < status_socket.wake_at <= time.monotonic() + 0.2
        wait_for(lambda: time.monotonic() >= status_socket.wake_at)
        status_socket.flush([])
        assert status_socket.callers == ()
        assert status_socket.wake_at == float("inf")
    status_socket.close()


def test_a_worker_holds_no_caller(path: Path) -> None:
    """It closes its copies, so a caller sees the end of its answer when control has sent it."""
    status_socket = StatusSocket(path)
    with caller_at(path) as caller:
        status_socket.answer(LARGE)
        (pending,) = status_socket.callers
        status_socket.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(pending.fileno())
        assert len(b"".join(iter(lambda: caller.recv(1 << 16), b""))) < len(json.dumps(LARGE))


def test_a_caller_that_has_gone_blocks_nothing(path: Path) -> None:
    """A caller that disconnects at once is harmless."""
    status_socket = StatusSocket(path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    status_socket.answer(STATUS)
    status_socket.answer(STATUS)  # without any caller
    status_socket.close()


#: Complete, and deeper than any status.
DEEP = b'{"a":' * 900 + b"1" + b"}" * 900


@pytest.mark.parametrize("answer", [b"", b'{"half": ', b"[1]", b"\xff", b"17", b"[" * 65_000, DEEP])
def test_an_incomplete_answer_is_an_error(path: Path, answer: bytes) -> None:
    """A control process may be killed while it answers."""
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


def test_an_answer_that_drips_is_limited_in_time_as_a_whole(path: Path) -> None:
    """Each byte comes in time, but the answer does not."""
    path.parent.mkdir()
    is_over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def drip() -> None:
            caller, _ = listening.accept()
            with caller, contextlib.suppress(OSError):
                while not is_over.wait(0.05):
                    caller.sendall(b" ")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with pytest.raises(TimeoutError):
            ask(path, 0.3)
        assert not is_over.is_set()  # it would have gone on
        is_over.set()
        wait_for(lambda: not dripping.is_alive())

"""The note that control writes about its supervisord, and finding supervisord by it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, cast

import pytest

from pattoo_mp.control.run_directory import UNNAMED, record_supervisor
from pattoo_mp.errors import NotOurSupervisorError, SupervisorError
from pattoo_mp.operate import supervisor
from pattoo_mp.operate.supervisor import Supervisor
from tests.support.ports import at, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

ENVIRONMENT = {
    "PATH": "/bin",
    "SUPERVISOR_ENABLED": "1",
    "SUPERVISOR_SERVER_URL": "unix:///run/supervisor.sock",
    "SUPERVISOR_PROCESS_NAME": "agent",
    "SUPERVISOR_GROUP_NAME": "metrics",
}


@pytest.fixture
def path(home: Path) -> Path:
    """The path of the note, in a directory that does not exist yet."""
    return home / "run" / "agent.supervisor"


def test_a_note_is_made_under_supervisord(path: Path) -> None:
    """It has supervisord's URL, and the agent's name there."""
    record_supervisor(path, ENVIRONMENT)
    assert json.loads(path.read_text()) == {
        "url": "unix:///run/supervisor.sock",
        "name": "metrics:agent",
    }
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_process_without_a_group_is_its_own_group(path: Path) -> None:
    """As supervisord names it."""
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "SUPERVISOR_GROUP_NAME"}
    record_supervisor(path, environment)
    assert json.loads(path.read_text())["name"] == "agent:agent"


@pytest.mark.parametrize("missing", ["SUPERVISOR_SERVER_URL", "SUPERVISOR_PROCESS_NAME"])
def test_an_old_note_is_removed_without_supervisord(path: Path, missing: str) -> None:
    """An agent that was started by hand is no longer managed by supervisord."""
    record_supervisor(path, ENVIRONMENT)
    record_supervisor(path, {k: v for k, v in ENVIRONMENT.items() if k != missing})
    assert not path.exists()


def test_a_note_that_cannot_be_written_is_only_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent runs without it; the log says what later commands cannot do."""
    path.mkdir(parents=True)
    record_supervisor(path, ENVIRONMENT)
    (message,) = caplog.messages
    assert message.endswith(
        "; --start and --stop cannot ask the supervisor, which may restart what they stop."
    )


def test_a_missing_note_is_no_error(path: Path) -> None:
    """Most agents never have one."""
    record_supervisor(path, {})
    assert not path.exists()


def test_without_a_note_there_is_no_supervisord(path: Path) -> None:
    """Neither its directory nor the file exists."""
    assert Supervisor.of(path, None) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\xff\xfe", b"[]", b"{}", b'"text"', b"7", b"null", b'{"url": "http://x"}',
     b'{"url": "nonsense", "name": "a:a"}', b'{"url": 7, "name": null}',
     b'{"url": "unix://", "name": "a:a"}', b'{"url": "http://[", "name": "a:a"}',
     b'{"url": "http://127.0.0.1:x/", "name": "a:a"}'],
)  # fmt: skip
def test_an_invalid_note_is_ignored(path: Path, content: bytes) -> None:
    """Start and stop work as without a note."""
    path.parent.mkdir()
    path.write_bytes(content)
    assert Supervisor.of(path, None) is None


def test_a_directory_in_place_of_the_note_is_ignored(path: Path) -> None:
    """It cannot be read."""
    path.mkdir(parents=True)
    assert Supervisor.of(path, None) is None


def test_a_supervisord_that_has_ended_is_ignored(path: Path, home: Path) -> None:
    """Its socket does not exist, or nothing listens on it."""
    for url in (f"unix://{home}/absent.sock", at(free_port())):
        record_supervisor(path, {**ENVIRONMENT, "SUPERVISOR_SERVER_URL": url})
        assert Supervisor.of(path, None) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_supervisord_that_denies_access_is_an_error(path: Path, home: Path) -> None:
    """It would restart the agent that we stop, so it cannot be ignored."""
    listening = home / "supervisor.sock"
    with socket.socket(socket.AF_UNIX) as supervisord:
        supervisord.bind(str(listening))
        supervisord.listen()
        listening.chmod(0o600)
        record_supervisor(path, {**ENVIRONMENT, "SUPERVISOR_SERVER_URL": f"unix://{listening}"})
        for owned in (home, path.parent, path):
            os.chown(owned, 65534, 65534)
        os.seteuid(65534)
        try:
            with pytest.raises(
                NotOurSupervisorError, match=r"denied us access \(Permission denied\)"
            ):
                Supervisor.of(path, None)
        finally:
            os.seteuid(0)


def test_a_supervisord_that_asks_for_a_password_is_an_error(path: Path) -> None:
    """It denies access by HTTP 401."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as supervisord:
        url = f"http://127.0.0.1:{supervisord.server_port}"
        record_supervisor(path, {**ENVIRONMENT, "SUPERVISOR_SERVER_URL": url})
        refusing = threading.Thread(target=supervisord.handle_request)
        refusing.start()
        with pytest.raises(NotOurSupervisorError, match=r"denied us access \(Unauthorized\)"):
            Supervisor.of(path, None)
        refusing.join()


def test_a_stop_by_a_supervisord_that_has_ended_is_an_error(home: Path) -> None:
    """One line, with the URL of supervisord."""
    url = f"unix://{home}/absent.sock"
    with pytest.raises(SupervisorError, match=f"^supervisord at {url}: [^\n]+$"):
        Supervisor(url, "agent:agent").stop()


def test_a_program_that_does_not_run_is_no_agent_that_the_kernel_does_not_name(path: Path) -> None:
    """Both are 0: a program that supervisord keeps retrying, and an agent in a container beside."""
    retrying = answer_of({"pid": 0, "statename": "BACKOFF"})
    with _Server(lambda: [retrying]) as server:
        record_supervisor(path, {**ENVIRONMENT, "SUPERVISOR_SERVER_URL": server.url})
        assert Supervisor.of(path, UNNAMED) is None
        assert Supervisor.of(path, 7) is None
        found = Supervisor.of(path, None)
        assert found is not None
        assert found.may_run


class _Answering(BaseHTTPRequestHandler):
    """Answers every request with the `body` of its server, as an HTTP server."""

    def do_POST(self) -> None:
        """Read the request and answer it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for part in cast("_Server", self.server).answer():
                self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Log nothing."""


class _Server(HTTPServer):
    """A supervisord that gives any answer. It runs in a thread during the `with` block."""

    def __init__(self, answer: Callable[[], Iterable[bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def server_close(self) -> None:
        """End the thread, too."""
        self.shutdown()
        self._thread.join()
        super().server_close()


def answer_of(content: Any) -> bytes:  # noqa: ANN401 - XML-RPC is untyped
    """An XML-RPC answer."""
    return xmlrpc.client.dumps((content,), methodresponse=True).encode()


@pytest.mark.parametrize(
    "body",
    [b"", b"<", b"<a>" * 50_000, b"\xff", answer_of(7), answer_of([[1]]), answer_of({}), answer_of("x"),
     answer_of({"pid": "7", "statename": "RUNNING"}), answer_of({"pid": 7, "statename": [1]}),
     answer_of({"pid": 7}), b"<?xml version='1.0'?><methodResponse/>",
     b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
     b"<methodResponse><params><param><value><int>" + b"9" * 5_000 + b"</int></value></param></params></methodResponse>",
     b"<methodResponse><params>" + b"<param><value><array><data>" * 20_000],
)  # fmt: skip
def test_what_does_not_answer_like_a_supervisord_is_none(path: Path, body: bytes) -> None:
    """The agent's user can write the note, and so send root's commands to any program."""
    with _Server(lambda: [body]) as server:
        record_supervisor(path, {**ENVIRONMENT, "SUPERVISOR_SERVER_URL": server.url})
        assert Supervisor.of(path, 7) is None
        with pytest.raises(SupervisorError, match=f"^supervisord at {server.url}: "):
            Supervisor(server.url, "agent").info()


def test_an_endless_answer_is_limited_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so in memory."""
    monkeypatch.setattr(supervisor, "_ANSWER_BYTES", 1 << 20)
    with (
        _Server(lambda: itertools.repeat(b" " * 65_536)) as server,
        pytest.raises(SupervisorError, match=r"its answer is too large$"),
    ):
        Supervisor(server.url, "agent").info()


def test_an_answer_that_drips_is_limited_in_time_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes in time, but the answer does not."""
    monkeypatch.setattr(supervisor, "_INFO_S", 0.3)
    is_over = threading.Event()

    def drip() -> Iterator[bytes]:
        while not is_over.wait(0.05):
            yield b" "

    with _Server(drip) as server:
        try:
            with pytest.raises(SupervisorError, match=r"no answer within 0\.3 s$"):
                Supervisor(server.url, "agent").info()
        finally:
            is_over.set()


def test_a_named_pipe_in_place_of_the_note_is_ignored(path: Path) -> None:
    """Opening it would wait for somebody who writes to it."""
    path.parent.mkdir()
    os.mkfifo(path)
    assert Supervisor.of(path, None) is None


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with 401."""

    def do_POST(self) -> None:
        """Read the request and refuse it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Log nothing."""

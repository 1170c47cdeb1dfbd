"""The agent's own small files, which another user or a broken disk may have changed, and its status."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattoo_mp import paths
from pattoo_mp.cli.status import as_line, as_text
from pattoo_mp.config import secrets
from pattoo_mp.config.load import check
from pattoo_mp.config.reading import read_files
from pattoo_mp.config.settings import LATER_SHARED_FILE, SHARED_FILE, agent_file, program_settings
from pattoo_mp.control.run_directory import cut_short_pid, locked_run, running_pid
from pattoo_mp.errors import ConfigError, IdentityError, PattooError, TrustError
from pattoo_mp.identity import kept_name, name_file, read_agent_id
from pattoo_mp.operate.agent import Agent
from pattoo_mp.operate.supervisor import Supervisor
from pattoo_mp.util.units import byte_count, milliseconds
from tests.fuzz.drawing import bounded, fuzz, mutated
from tests.support import statuses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pattoo_mp.config.settings import Setting

STATUSES = tuple(json.dumps(s()).encode() for s in (statuses.status, statuses.much_trouble))
YAML = (
    b"pattoo:\n  log_directory: /tmp/log\n  cache_directory: /tmp/cache\n  daemon_directory: /tmp/daemon\n"
    b"pattoo_agent_api:\n  ip_address: 127.0.0.1\n  ip_bind_port: 20201\n",
    b"pattoo_agent_os_autonomousd:\n  polling_interval: 0.1\n  families: [per_processor, textfile]\n"
    b"  intervals: {processor: 0.1}\n  servers: ['http://user:secret@one:20201', \"https://two\"]\n"
    b"  filesystems_include: ['/srv/*']\n  spool_max_bytes: 100000000\n  procfs_path: /proc\n",
)


@fuzz
@given(content=mutated((b"0a" * 32 + b"\n",)))
def test_an_identity_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """With one printable line."""
    path = tmp_path / "name.agent_id"
    path.write_bytes(content)
    with bounded():
        try:
            assert len(read_agent_id(path)) == 64
        except IdentityError as error:
            assert str(error).isprintable()  # noqa: PT017


@fuzz
@given(content=mutated((b"host.example.org\n",)))
def test_a_kept_name_is_a_name_or_nothing(tmp_path: Path, content: bytes) -> None:
    """It becomes part of each series."""
    path = tmp_path / "name.agent_id"
    name_file(path).write_bytes(content)
    with bounded():
        name = kept_name(path)
    assert name is None or (name.isprintable() and 0 < len(name) <= 253)


@fuzz
@given(content=mutated((b"1234\n",)))
def test_a_pid_file_gives_a_pid_or_none(tmp_path: Path, content: bytes) -> None:
    """Nobody holds its lock, so no process runs, whatever it says."""
    file = paths.pid_file(tmp_path)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with bounded():
        assert running_pid(file) is None
        assert cut_short_pid(tmp_path) == 0  # there is no socket
        with locked_run(tmp_path):
            assert file.read_text() == f"{os.getpid()}\n"


@fuzz
@given(
    content=mutated((b'{"url": "unix:///nowhere/supervisor.sock", "name": "agent", "pid": 7}',)),
)
def test_a_note_of_a_supervisor_gives_one_or_none(tmp_path: Path, content: bytes) -> None:
    """None answers there."""
    path = tmp_path / "supervisor"
    path.write_bytes(content)
    with bounded():
        try:
            assert Supervisor.of(path, None) is None
        except PattooError as error:
            assert str(error)  # noqa: PT017


class Impostor:
    """Answers on an agent's status socket with given bytes."""

    def __init__(self, directory: Path) -> None:
        self.answer = b""
        self.agent = Agent(directory)
        path = paths.status_socket(directory)
        path.parent.mkdir(parents=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
                with caller:
                    caller.sendall(self.answer)
            except ConnectionError:
                continue
            except OSError:
                return

    def close(self) -> None:
        """End it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(20)


@pytest.fixture
def impostor(home: Path) -> Iterator[Impostor]:
    """One in a directory of its own."""
    running = Impostor(home)
    yield running
    running.close()


@fuzz
@given(answer=mutated(STATUSES))
def test_a_status_can_be_shown_or_is_refused(impostor: Impostor, answer: bytes) -> None:
    """Nothing that the process at the socket sends ends a command in a traceback."""
    impostor.answer = answer
    with bounded():
        try:
            status = impostor.agent.status()
        except (OSError, PattooError):
            return
        shown = as_text(status) + as_line(status)
    assert all(c == "\n" or c.isprintable() for c in shown)


@fuzz
@given(shared=mutated(YAML[:1]), own=mutated(YAML[1:]))
def test_a_configuration_is_read_or_has_problems_in_one_line_each(
    tmp_path: Path, shared: bytes, own: bytes
) -> None:
    """And no message shows the password of a URL."""
    (tmp_path / SHARED_FILE).write_bytes(shared)
    (tmp_path / agent_file()).write_bytes(own)
    with bounded():
        try:
            check(tmp_path)
        except ConfigError as error:
            assert all("\n" not in line for line in error.problems)  # noqa: PT017
        try:
            reading = read_files(tmp_path)
        except ConfigError:
            return
    assert all("\n" not in problem for problem in reading.problems)


VALUES = (
    b"300 ms", b"1h30m", b"10 MB", b"{processor: 0.1, memory: 5m}", b"[uptime, users]", b"2 GiB",
    b"[{kind: remote_write, url: 'https://one/write', headers: {X-Key: value}}]",
)  # fmt: skip


@fuzz
@given(
    further=mutated(YAML),
    value=mutated(VALUES).filter(lambda value: b"\0" not in value),
    setting=st.sampled_from(program_settings()),
)
def test_further_files_and_variables_are_read_or_have_problems_in_one_line_each(
    tmp_path: Path, further: bytes, value: bytes, setting: Setting
) -> None:
    """Whatever the value is, and whichever setting it is for; all settings can be shown."""
    (tmp_path / SHARED_FILE).write_bytes(YAML[0])
    (tmp_path / agent_file()).write_bytes(YAML[1])
    for name in (SHARED_FILE, agent_file()):
        (tmp_path / f"{name}.d").mkdir(exist_ok=True)
        (tmp_path / f"{name}.d" / "1.yaml").write_bytes(further)
    with bounded(), pytest.MonkeyPatch.context() as environment:
        environment.setitem(os.environ, setting.variable, os.fsdecode(value[:100_000]))
        reading = read_files(tmp_path)
        shown = [one.setting.readable(one.given) for one in reading.found]
    assert all(isinstance(text, str) for text in shown)
    assert all("\n" not in problem for problem in reading.problems)


@fuzz
@given(text=mutated(VALUES))
def test_a_time_or_a_size_is_read_or_refused(text: bytes) -> None:
    """Without a unit, and with anything around it."""
    for read in (milliseconds, byte_count):
        with bounded(), suppress(ValueError):
            assert read(text.decode("utf-8", "replace")) >= 0


@fuzz
@given(content=mutated((b"token-abc", b"user:password\n")))
def test_credentials_make_a_header_or_are_refused(tmp_path: Path, content: bytes) -> None:
    """The header has one line, and an error does not show the secret."""
    path = tmp_path / "credentials"
    path.write_bytes(content)
    path.chmod(0o600)
    with bounded():
        try:
            header = secrets.authorization(secrets.SERVER, path)
        except TrustError:
            return
    assert header.isascii()
    assert header.isprintable()


def test_the_files_that_are_fuzzed_are_those_that_are_read() -> None:
    """A third one of another name has the same form as the first."""
    assert len({SHARED_FILE, agent_file(), LATER_SHARED_FILE}) == 3

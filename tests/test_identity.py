"""The agent's identity."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pattoo_mp import identity
from pattoo_mp.errors import IdentityError
from pattoo_mp.identity import origin
from pattoo_mp.model import Origin
from tests.support.small import files_of_at_most
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
KNOWN = "0123456789abcdef" * 4
_PRINT = (
    "import sys; from pathlib import Path; from pattoo_mp.identity import origin\n"
    "sys.stdin.readline(); print(origin(Path(sys.argv[1])).agent_id)"
)


@pytest.fixture
def path(home: Path) -> Path:
    """The path of the identity file, in a directory that does not exist yet."""
    return home / "agent_id" / "agent.agent_id"


def put(path: Path, content: bytes) -> None:
    """Write `content` to the file."""
    path.parent.mkdir()
    path.write_bytes(content)


def test_the_first_start_creates_an_identity(path: Path) -> None:
    """64 hexadecimal digits, readable by the owner only, and no other file left."""
    made = origin(path).agent_id
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert path.read_text() == f"{made}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_agents_have_different_identities(home: Path) -> None:
    """An identity is random, not derived from the host."""
    assert origin(home / "a" / "id").agent_id != origin(home / "b" / "id").agent_id


def test_an_identity_is_kept(path: Path) -> None:
    """It is part of all series of this agent: changing it would start new charts."""
    first = origin(path)
    assert [origin(path) for _ in range(3)] == [first] * 3


def test_the_host_name_is_that_of_the_original_agent(path: Path) -> None:
    """The name is part of the checksums, so it must be the same."""
    assert origin(path).hostname == socket.getfqdn()
    assert origin(path).program == "pattoo_agent_os_autonomousd"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n", "\nmore lines\n"])
def test_the_original_agents_file_is_used(path: Path, end: str) -> None:
    """With or without a line end; it is not written to."""
    content = f"{KNOWN}{end}".encode()
    put(path, content)
    assert origin(path).agent_id == KNOWN
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"garbage", KNOWN[:-1].encode(), KNOWN.encode() + b"0", KNOWN.upper().encode(),
     b"\n" + KNOWN.encode(), b"\xff" * 64, "é".encode() * 32, b"\0" * 64, b"x" * 1_000_000],
)  # fmt: skip
def test_an_invalid_identity_is_refused(path: Path, content: bytes) -> None:
    """In one short line that names the file and what is expected; the file is unchanged."""
    put(path, content)
    with pytest.raises(IdentityError) as refused:
        origin(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "expected 64 hexadecimal digits" in message
    assert "\n" not in message
    assert len(message) < 500
    assert path.read_bytes() == content


def test_a_directory_as_identity_file_is_refused(path: Path) -> None:
    """In one line."""
    path.mkdir(parents=True)
    with pytest.raises(IdentityError, match=f"^{path}: cannot be used [(]is not a regular file[)]"):
        origin(path)


def test_an_impossible_directory_is_refused(home: Path) -> None:
    """There is a file instead of the directory."""
    (home / "agent_id").write_text("a file")
    path = home / "agent_id" / "agent.agent_id"
    with pytest.raises(IdentityError, match=f"^{path}: cannot be used"):
        origin(path)


def test_a_dangling_symbolic_link_is_refused(path: Path, home: Path) -> None:
    """No identity is created at its target."""
    path.parent.mkdir()
    path.symlink_to(home / "elsewhere")
    with pytest.raises(IdentityError):
        origin(path)
    assert not (home / "elsewhere").exists()


def test_a_full_disk_leaves_no_incomplete_file(path: Path) -> None:
    """Nor any other file, since a supervisor retries again and again. With room, the next try works."""
    with (
        files_of_at_most(2),
        pytest.raises(IdentityError, match=f"^{path}: cannot be used .* expected .* with room$"),
    ):
        origin(path)
    assert list(path.parent.iterdir()) == []
    assert origin(path).agent_id in path.read_text()


def test_many_simultaneous_starts_agree(path: Path) -> None:
    """The first one creates it, all others use it, and no other file is left."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PRINT, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for _ in range(12)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=20)[0] for process in processes}
    assert answers == {path.read_text()}
    assert list(path.parent.iterdir()) == [path]


# The host's name.


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that gives the host another name."""

    def call(name: str) -> None:
        monkeypatch.setattr(socket, "getfqdn", lambda: name)

    return call


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer; nobody waits long for it here."""
    monkeypatch.setattr(socket, "getfqdn", threading.Event().wait)
    monkeypatch.setattr(identity, "LOOK_UP_S", 0.2)


def test_a_kept_name_is_used(path: Path, called: Callable[[str], None]) -> None:
    """Whatever the host is called later. Its file is private, and beside the identity."""
    called("web1")
    first = origin(path)
    identity.keep_name(path, first.hostname)
    called("web1.example.org")
    assert origin(path) == first
    identity.keep_name(path, "another")
    assert origin(path) == first
    kept = path.parent / "agent.hostname"
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("web1\n", 0o600)
    kept.unlink()
    assert origin(path) == replace(first, hostname="web1.example.org")


def test_the_setting_wins_over_a_kept_name(path: Path) -> None:
    """And does not change it."""
    identity.origin(path)
    identity.keep_name(path, "web1")
    assert origin(path, "web2").hostname == "web2"
    assert origin(path).hostname == "web1"


@pytest.mark.usefixtures("mute")
def test_a_start_with_a_kept_name_asks_no_name_server(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So a mute one delays nothing."""
    put(path, f"{KNOWN}\n".encode())
    identity.keep_name(path, "web1")
    assert origin(path) == Origin(KNOWN, "web1")
    assert caplog.text == ""


@pytest.mark.usefixtures("mute")
def test_the_first_start_does_not_wait_long_for_a_name_server(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The host's own name is taken, which is logged. The process that asked is gone."""
    before = set(
        psutil.Process().children()
    )  # an agent of GnuPG of another test may have ended late
    assert origin(path).hostname == socket.gethostname()
    assert (
        "No name server has answered within 0.2 s: polls carry the host's short name" in caplog.text
    )
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words\n", b"\xff\xfe", b"web\x1b[2J\n", b"x" * 300]
)
def test_a_file_without_a_name_is_no_reason_not_to_start(
    path: Path, content: bytes, called: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The name is looked up; the file stays as it is."""
    called("web1")
    put(path, f"{KNOWN}\n".encode())
    identity.name_file(path).write_bytes(content)
    assert origin(path).hostname == "web1"
    assert "the host's name is looked up instead" in caplog.text
    assert identity.name_file(path).read_bytes() == content


def test_a_named_pipe_in_its_place_is_not_waited_for(
    path: Path, called: Callable[[str], None]
) -> None:
    """Nor is a link followed."""
    called("web1")
    put(path, f"{KNOWN}\n".encode())
    os.mkfifo(identity.name_file(path))
    assert origin(path).hostname == "web1"
    identity.name_file(path).unlink()
    identity.name_file(path).symlink_to(path)
    assert origin(path).hostname == "web1"


@pytest.mark.parametrize(
    ("now", "kept", "renamed"),
    [
        ("web1", "web1", False),
        ("web1.example.org", "web1", True),
        ("web2.example.org", "web1.example.org", True),
        ("web1", "web1.example.org", False),  # what is left without a name server
        ("web2", "web1.example.org", True),
    ],
)
def test_a_renamed_host_is_logged(
    path: Path,
    called: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    *,
    now: str,
    kept: str,
    renamed: bool,
) -> None:
    """With what to do. The line does not come for a name server that does not answer."""
    called(now)
    identity.watch_name(path, kept)
    wait_for(
        lambda: all(thread.name != "host name" for thread in threading.enumerate()),
        what="the look-up",
    )
    expected = (
        f"This host is called {now} now. Its polls keep the name {kept}, since another name begins new "
        f"charts. To change it, set hostname, or remove {identity.name_file(path)} and restart."
    )
    assert caplog.messages == ([expected] if renamed else [])

"""The agent's identity."""

from __future__ import annotations

import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pattoo_mp.errors import IdentityError
from pattoo_mp.identity import origin
from tests.support.small import files_of_at_most

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
    with pytest.raises(IdentityError, match=f"^{path}: cannot be used [(]Is a directory[)]"):
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
    with files_of_at_most(2), pytest.raises(IdentityError, match=f"^{path}: cannot be used"):
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

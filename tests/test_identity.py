"""Who this agent is to the server."""

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
    """Where the identity is, in a directory that is not there yet."""
    return home / "agent_id" / "agent.agent_id"


def put(path: Path, content: bytes) -> None:
    """Have the file hold `content`."""
    path.parent.mkdir()
    path.write_bytes(content)


def test_the_first_start_makes_an_identity(path: Path) -> None:
    """64 hexadecimal digits, for the owner only, and nothing left beside it."""
    made = origin(path).agent_id
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert path.read_text() == f"{made}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_agents_are_two(home: Path) -> None:
    """An identity is drawn, not derived from the host."""
    assert origin(home / "a" / "id").agent_id != origin(home / "b" / "id").agent_id


def test_an_identity_is_kept(path: Path) -> None:
    """It names all series of this agent: a change of it would begin new charts."""
    first = origin(path)
    assert [origin(path) for _ in range(3)] == [first] * 3


def test_the_host_is_named_as_the_original_agent_names_it(path: Path) -> None:
    """The name counts in the checksums, so it must be the same."""
    assert origin(path).hostname == socket.getfqdn()
    assert origin(path).program == "pattoo_agent_os_autonomousd"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n", "\nmore lines\n"])
def test_the_original_agents_file_is_used(path: Path, end: str) -> None:
    """With a line end or without; and it is not written to."""
    content = f"{KNOWN}{end}".encode()
    put(path, content)
    assert origin(path).agent_id == KNOWN
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"garbage", KNOWN[:-1].encode(), KNOWN.encode() + b"0", KNOWN.upper().encode(),
     b"\n" + KNOWN.encode(), b"\xff" * 64, "é".encode() * 32, b"\0" * 64, b"x" * 1_000_000],
)  # fmt: skip
def test_what_is_no_identity_is_refused(path: Path, content: bytes) -> None:
    """In one short line that names the file and what is expected; the file stays as it is."""
    put(path, content)
    with pytest.raises(IdentityError) as refused:
        origin(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "expected 64 hexadecimal digits" in message
    assert "\n" not in message
    assert len(message) < 500
    assert path.read_bytes() == content


def test_a_directory_in_its_place_is_refused(path: Path) -> None:
    """In one line that says so."""
    path.mkdir(parents=True)
    with pytest.raises(IdentityError, match=f"^{path}: cannot be used [(]Is a directory[)]"):
        origin(path)


def test_a_directory_that_cannot_be_is_refused(home: Path) -> None:
    """A file stands where the directory should be."""
    (home / "agent_id").write_text("a file")
    path = home / "agent_id" / "agent.agent_id"
    with pytest.raises(IdentityError, match=f"^{path}: cannot be used"):
        origin(path)


def test_a_symbolic_link_that_leads_nowhere_is_refused(path: Path, home: Path) -> None:
    """No identity is made at its other end."""
    path.parent.mkdir()
    path.symlink_to(home / "elsewhere")
    with pytest.raises(IdentityError):
        origin(path)
    assert not (home / "elsewhere").exists()


def test_a_disk_without_room_leaves_no_half_of_one(path: Path) -> None:
    """Nor anything beside it: a supervisor tries again and again. With room, the next try makes it."""
    with files_of_at_most(2), pytest.raises(IdentityError, match=f"^{path}: cannot be used"):
        origin(path)
    assert list(path.parent.iterdir()) == []
    assert origin(path).agent_id in path.read_text()


def test_many_that_start_at_once_agree(path: Path) -> None:
    """Whoever is first makes it, all others use it, and nothing is left beside it."""
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

"""A directory of text files: each is read when it changes, and whatever else lies there is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.collect.families import _prometheus
from pattoo_mp.collect.families._prometheus import MOST_BYTES, MOST_FILES, Directory
from tests.support.unprivileged import as_nobody

if TYPE_CHECKING:
    from pathlib import Path


class Parser:
    """Gives a text back, and keeps what it was given."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, content: bytes) -> bytes:
        """Refuse what begins with `bad`."""
        self.read.append(content)
        if content.startswith(b"bad"):
            raise ValueError("is bad")
        return content


@pytest.fixture
def parser() -> Parser:
    """One that is given every file that is read."""
    return Parser()


@pytest.fixture
def directory(tmp_path: Path, parser: Parser) -> Directory[bytes]:
    """That of this test."""
    return Directory(tmp_path, parser)


def problems(directory: Directory[bytes]) -> dict[str, str]:
    """What is wrong with each file that something is wrong with."""
    return {name: file.problem for name, file in directory.files().items() if file.problem}


def put(path: Path, content: bytes) -> None:
    """Write aside and rename, as the convention is."""
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(path)


def test_only_names_with_the_suffix_are_read(tmp_path: Path, directory: Directory[bytes]) -> None:
    """What is being written aside is not."""
    for name in ("b.prom", "a.prom", "a.prom.tmp", "README"):
        (tmp_path / name).write_bytes(name.encode())
    assert {name: file.content for name, file in directory.files().items()} == {
        "a.prom": b"a.prom", "b.prom": b"b.prom",
    }  # fmt: skip
    assert list(directory.files()) == ["a.prom", "b.prom"]


def test_a_file_is_read_again_only_when_it_has_changed(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """Another renamed into its place counts, also with the size and the time of the one before."""
    file = tmp_path / "a.prom"
    put(file, b"one")
    first = directory.files()
    assert directory.files() == first
    assert parser.read == [b"one"]
    before = file.stat()
    put(file, b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert directory.files()["a.prom"].content == b"two"
    assert parser.read == [b"one", b"two"]


def test_a_bad_file_leaves_out_that_file_until_it_changes(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """It is not read again meanwhile, and its age is known."""
    put(tmp_path / "a.prom", b"bad")
    put(tmp_path / "b.prom", b"good")
    for _ in range(2):
        assert problems(directory) == {"a.prom": "is bad"}
    assert sorted(parser.read) == [b"bad", b"good"]
    assert directory.files()["a.prom"].written_s == (tmp_path / "a.prom").stat().st_mtime
    put(tmp_path / "a.prom", b"mended")
    assert problems(directory) == {}


def test_what_is_no_file_is_not_opened(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A FIFO without a writer would be waited for; a device may do something."""
    os.mkfifo(tmp_path / "fifo.prom")
    (tmp_path / "directory.prom").mkdir()
    (tmp_path / "device.prom").symlink_to("/dev/zero")
    assert problems(directory) == dict.fromkeys(
        ("device.prom", "directory.prom", "fifo.prom"), "is no regular file"
    )


def test_links_are_followed(tmp_path: Path, directory: Directory[bytes]) -> None:
    """One that leads nowhere, or to itself, leaves out that file."""
    (tmp_path / "elsewhere").write_bytes(b"it")
    (tmp_path / "a.prom").symlink_to("elsewhere")
    (tmp_path / "b.prom").symlink_to("nowhere")
    (tmp_path / "c.prom").symlink_to("c.prom")
    assert directory.files()["a.prom"].content == b"it"
    assert problems(directory) == {
        "b.prom": "is a link to nothing",
        "c.prom": "Too many levels of symbolic links",
    }


def test_a_file_that_goes_between_list_and_look_is_not_there(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """Whoever wrote it has taken it away, which is no fault."""
    put(tmp_path / "a.prom", b"one")
    assert directory._file("gone.prom", MOST_BYTES) is None
    assert list(directory.files()) == ["a.prom"]
    (tmp_path / "a.prom").unlink()
    assert directory.files() == {}


def test_a_file_that_is_exchanged_between_look_and_opening_is_looked_at_again(
    tmp_path: Path, directory: Directory[bytes]
) -> None:
    """What is opened is what counts; opening a FIFO does not wait for a writer."""
    os.mkfifo(tmp_path / "a.prom")
    assert directory._read(tmp_path / "a.prom", MOST_BYTES).problem == "is no regular file"


def test_a_file_that_may_not_be_read_is_told(home: Path) -> None:
    """It is left out, with the kernel's word for why."""
    file = home / "a.prom"
    file.write_bytes(b"secret")
    file.chmod(0)
    home.chmod(0o755)
    told = as_nobody(lambda: str(problems(Directory(home, Parser()))))
    assert told == "{'a.prom': 'Permission denied'}"


def test_all_files_together_are_bounded(tmp_path: Path, directory: Directory[bytes]) -> None:
    """A file for which there is no room is not read; those after it may fit."""
    put(tmp_path / "a.prom", b"x" * (MOST_BYTES - 10))
    put(tmp_path / "b.prom", b"x" * 11)
    put(tmp_path / "c.prom", b"x" * 10)
    (tmp_path / "d.prom").touch()
    os.truncate(tmp_path / "d.prom", 1 << 40)
    too_large = "is too large: all files together may have 1048576 bytes"
    for _ in range(2):
        assert problems(directory) == {"b.prom": too_large, "d.prom": too_large}


def test_a_file_that_grows_while_it_is_read_is_bounded(
    tmp_path: Path, directory: Directory[bytes], parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than there is room for."""
    put(tmp_path / "a.prom", b"x" * 20)
    unfit = Directory._unfit
    monkeypatch.setattr(Directory, "_unfit", lambda self, status, _: unfit(self, status, 20))
    assert directory._read(tmp_path / "a.prom", 10).problem.startswith("is too large")
    assert parser.read == []


def test_more_files_than_are_read_are_told_of_once(
    tmp_path: Path, directory: Directory[bytes], parser: Parser
) -> None:
    """The first of them is named."""
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number:03}.prom").touch()
    assert problems(directory) == {"100.prom": _prometheus._TOO_MANY}
    assert len(parser.read) == MOST_FILES


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path, parser: Parser) -> None:
    """It is told of as a whole."""
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path / "none", parser).files()


def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path, directory: Directory[bytes]) -> None:
    """As the system gives it; what is sent of it is made safe later."""
    (tmp_path / os.fsdecode(b"\xff.prom")).write_bytes(b"it")
    assert [file.content for file in directory.files().values()] == [b"it"]

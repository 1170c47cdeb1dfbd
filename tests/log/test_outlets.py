"""Outlets that take nothing, or only part of a line."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pattoo_mp.log.outlets import LogFile, Stream
from tests.log.records import line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pattoo_mp.log.line import Line


def plain(what: Line) -> str:
    """Only the message."""
    return f"{what.message}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the log."""
    return tmp_path / "pattoo.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    """An outlet to that file."""
    made = LogFile(path, plain)
    yield made
    made.close()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Limit the file size of this process to `size`, in place of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("by", ["rename", "unlink"])
def test_the_line_after_a_rename_goes_to_the_new_file(file: LogFile, path: Path, by: str) -> None:
    """Even without a signal, the next line goes to the file with the log's name."""
    file.put(line("one"))
    if by == "rename":
        path.rename(f"{path}.1")
    else:
        path.unlink()
    file.put(line("two"))
    assert path.read_text() == "two\n"


def test_a_renamed_file_is_used_while_no_new_one_can_be_made(file: LogFile, path: Path) -> None:
    """The renamed file can still be found."""
    file.put(line("one"))
    moved = path.rename(f"{path}.1")
    path.mkdir()
    file.put(line("two"))
    assert moved.read_text() == "one\ntwo\n"
    assert file.lost == 0


def test_a_removed_directory_is_made_again(file: LogFile, path: Path) -> None:
    """It is private, as at the start."""
    file.put(line("one"))
    path.unlink()
    path.parent.rmdir()
    file.put(line("two"))
    assert path.read_text() == "two\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def obstruct_by_a_directory(path: Path) -> None:
    """Put a directory in its place."""
    path.mkdir()


def obstruct_by_a_link(path: Path) -> None:
    """Put a link in its place."""
    path.symlink_to("/dev/null")


def obstruct_by_a_fifo(path: Path) -> None:
    """Put a FIFO without a reader in its place."""
    os.mkfifo(path)


@pytest.mark.parametrize(
    "obstruct", [obstruct_by_a_directory, obstruct_by_a_link, obstruct_by_a_fifo]
)
def test_lost_lines_are_counted_and_reported(
    file: LogFile, path: Path, obstruct: Callable[[Path], None]
) -> None:
    """With the reason, before the first line that can be written."""
    obstruct(path)
    file.put(line("one"))
    file.put(line("two"))
    assert file.lost == 2
    subprocess.run(["rm", "-r", path], check=True)
    file.put(line("three"))
    report, three = path.read_text().splitlines()
    assert report.startswith("2 lines could not be written here: ")
    assert three == "three"
    assert file.lost == 0


def test_lines_are_whole_again_after_a_full_disk(file: LogFile, path: Path) -> None:
    """A partly written line does not spoil the next one."""
    with room_for(6):
        file.put(line("one"))
        file.put(line("two"))
    file.put(line("three"))
    assert path.read_text().splitlines() == [
        "one", "tw", "1 line could not be written here: File too large.", "three",
    ]  # fmt: skip


def test_an_unread_stream_does_not_block() -> None:
    """As with a stopped supervisor: lost lines are counted, and reported when it reads again."""
    reading, writing = os.pipe()
    stream = Stream(writing, plain)
    for _ in range(100):
        stream.put(line("x" * 1000))
    lost = stream.lost
    assert lost > 30
    while len(os.read(reading, 65536)) == 65536:
        pass
    stream.put(line("again"))
    report, again = os.read(reading, 65536).decode().splitlines()[-2:]
    assert report.startswith(f"{lost} lines could not be written here: it is not being read")
    assert again == "again"
    os.close(reading)
    stream.put(line("nobody"))
    assert stream.lost == 1
    os.close(writing)
